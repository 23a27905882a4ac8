"""Posts found in the channels' histories: the real ledger and discord.py with the loopback Discord."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import places
from discord_server import Channel, Permission, request_fault
from discord_server.fault import FOREVER
from fakes import MONDAY, SLOT, FakeClock, Process
from places import online
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.discord_io.sender import DiscordSender
from weekbot.domain.deliveries import Delivery, State, scheduled_id, week_of_id
from weekbot.domain.schedule import WEEK, next_slot, week_of
from weekbot.domain.subscriptions import Options, Subscription

POST, THREADS = "/messages$", "/threads$"
COPIED = "copied.db"


@dataclass
class Place(places.Place):
    """A place with weekbot's delivery and a database file that tests can copy."""

    folder: Path
    library: Library
    processes: list[Process] = field(default_factory=list)

    def process(self, file: str = "weekbot.db") -> Process:
        """Start a process, which is closed at the end of the test."""
        sender = DiscordSender(self.client, RenderedPosts(None), custom_ids.delivered)
        made = Process(f"sqlite:///{self.folder / file}", lambda: self.library, sender, self.clock)
        self.processes.append(made)
        return made

    async def subscribed(self, process: Process, channel: Channel, **options: Any) -> Subscription:
        chosen = Options(EVERYTHING, **options)
        first = next_slot(chosen.weekly("UTC"), self.clock.now())
        new = Subscription(0, self.guild.id, channel.id, chosen, "UTC", round=1, next_slot=first)
        await process.database.upgrade()
        return (await process.subscriptions.put(self.guild.id, channel.id, lambda _, __: new)).after

    async def tick(self, process: Process, at: datetime) -> None:
        """Tick at that instant, after the late effects of earlier requests."""
        self.clock.instant = at
        self.server.world.late_effects.apply_due()
        await process.dispatcher.run()
        while process.dispatcher._running.locked():  # noqa: ASYNC110 - a run that was woken earlier
            await asyncio.sleep(0.01)

    def posts(self, channel: Channel) -> list[str]:
        """Return the topics of the posts in the channel and its threads."""
        within = [each for each in self.guild.threads.values() if each.parent is channel]
        found = [message for each in (channel, *within) for message in self.server.messages_in(each)]
        named = (custom_ids.delivered(custom_id) for message in found for custom_id in message.custom_ids)
        return [each[1] for each in named if each]


@pytest.fixture
async def place(tmp_path: Path, clock: FakeClock, library: Library) -> AsyncIterator[Place]:
    async with online(clock) as place:
        made = Place(place.server, place.guild, place.client, clock, tmp_path, library)
        yield made
        for process in made.processes:
            await process.close()


async def last(process: Process, subscription: Subscription) -> Delivery:
    return (await process.deliveries.last([subscription.id], *State))[subscription.id]


# IDs


@pytest.mark.parametrize("channel_id", [0, 1, 123456789012345678, (1 << 64) - 1])
@pytest.mark.parametrize("week", [week_of(MONDAY + number * WEEK, SLOT.tzinfo) for number in (0, 1, 5000)])  # type: ignore[arg-type]
def test_a_scheduled_id_names_its_channel_and_week_and_fits_into_a_nonce(channel_id: int, week: Any) -> None:
    made = scheduled_id(channel_id, week)
    assert len(made) <= 24
    assert week_of_id(made) == week
    assert custom_ids.delivered(custom_ids.more(made, "flask")) == (made, "flask")
    assert made != scheduled_id(channel_id + 1, week)


# Forum posts, which have no nonce


async def test_a_forum_post_that_appears_after_an_error_response_is_found_and_not_repeated(place: Place) -> None:
    forum, process = place.guild.add_forum("showcase"), place.process()
    await place.knows(forum)
    subscription = await place.subscribed(process, forum)
    place.server.inject("POST", THREADS, request_fault.html(502).carried_out(after=8))
    await place.tick(process, SLOT)
    await place.tick(process, SLOT + timedelta(seconds=5))
    assert len(place.server.sent("POST", "/channels/{channel_id}/threads")) == 1
    await place.tick(process, SLOT + timedelta(seconds=70))
    assert ((await last(process, subscription)).state, len(place.posts(forum))) == (State.SENT, 1)


@pytest.mark.parametrize("manages", [True, False])
async def test_a_forum_post_that_appears_after_its_repetition_is_removed(place: Place, manages: bool) -> None:
    forum, process = place.guild.add_forum("showcase"), place.process()
    if manages:
        place.guild.bot_role.permissions |= Permission.MANAGE_THREADS
        place.guild.emit("GUILD_ROLE_UPDATE", {"guild_id": str(place.guild.id), "role": place.guild.bot_role.payload()})
    await place.knows(forum)
    subscription = await place.subscribed(process, forum)
    place.server.inject("POST", THREADS, request_fault.html(502).carried_out(after=100))
    await place.tick(process, SLOT)
    await place.tick(process, SLOT + timedelta(seconds=70))
    await place.tick(process, SLOT + timedelta(seconds=110))
    assert len(place.posts(forum)) == 2
    await place.tick(process, SLOT + timedelta(minutes=8))
    delivery = await last(process, subscription)
    assert len(place.posts(forum)) == 1
    assert delivery.message_channel_id in place.guild.threads
    assert len(place.guild.threads) == (1 if manages else 2)
    failures = await process.steps.failures([delivery.id])
    assert bool(failures) != manages


# An unmarked copy of the ledger


async def copy_ledger(place: Place, process: Process) -> None:
    """Copy the ledger as it is now, as a snapshot of the machine does."""
    await process.reconciliations.record_alive(place.clock.now())
    async with process.database.write() as connection:
        await connection.exec_driver_sql("SELECT 1")
    await process.close()
    (place.folder / COPIED).write_bytes((place.folder / "weekbot.db").read_bytes())
    process._start()


@pytest.mark.parametrize("minutes", [1, 5, 9, 60, 50 * 60])
@pytest.mark.parametrize("kind", ["text", "forum", "thread"])
async def test_a_post_of_another_ledger_is_not_repeated(place: Place, minutes: int, kind: str) -> None:
    channel = await place.text()
    if kind == "forum":
        channel = place.guild.add_forum("showcase")
        await place.knows(channel)
    if kind == "thread":
        channel = await place.thread(channel)
    process = place.process()
    subscription = await place.subscribed(process, channel)
    await copy_ledger(place, process)
    await place.tick(process, SLOT)
    posted = await last(process, subscription)

    copy = place.process(COPIED)
    await place.tick(copy, SLOT + timedelta(minutes=minutes))
    again = await last(copy, subscription)
    assert (again.id, again.state, again.message_id) == (posted.id, State.SENT, posted.message_id)
    await place.tick(copy, SLOT + WEEK)
    assert place.posts(channel) == list(place.library.tracks[EVERYTHING].topics[:2])


async def test_a_topic_posted_manually_after_the_copy_is_not_repeated(place: Place) -> None:
    channel, process = await place.text(), place.process()
    subscription = await place.subscribed(process, channel)
    await copy_ledger(place, process)
    place.clock.move(minutes=10)
    assert await process.manual.post(subscription)

    copy = place.process(COPIED)
    place.clock.move(minutes=10)
    assert await copy.manual.post(subscription)
    await place.tick(copy, SLOT)
    assert place.posts(channel) == list(place.library.tracks[EVERYTHING].topics[:3])


async def test_a_week_gets_no_second_post_on_the_former_weekday(place: Place) -> None:
    """Restore a ledger from before a moderator moved the weekday from Friday to Monday."""
    channel, process = await place.text(), place.process()
    subscription = await place.subscribed(process, channel, weekday=4)
    await copy_ledger(place, process)
    await process.subscriptions.change(channel.id, lambda each: _moved_to_monday(each, place.clock.now()))
    await place.tick(process, SLOT)
    assert len(place.posts(channel)) == 1

    copy = place.process(COPIED)
    friday = subscription.next_slot.instant
    await place.tick(copy, friday)
    assert len(place.posts(channel)) == 1
    await place.tick(copy, friday + WEEK)
    assert place.posts(channel) == list(place.library.tracks[EVERYTHING].topics[:2])


def _moved_to_monday(current: Subscription, now: datetime) -> Subscription:
    return replace(current, options=replace(current.options, weekday=0)).rescheduled(now)


async def test_a_channel_without_new_messages_is_not_read(place: Place) -> None:
    channel, process = await place.text(), place.process()
    channel.post(
        place.guild.owner.user, {"content": "long ago"}, message_id=place.server.world.snowflakes.at(MONDAY - WEEK)
    )
    await place.subscribed(process, channel)
    await process.reconciliations.record_alive(place.clock.now())
    await place.server.drop(resumable=False)
    await place.client.until(lambda: getattr(place.client.get_channel(channel.id), "last_message_id", None))
    before = len(place.server.requests)
    await place.tick(process, SLOT)
    assert [str(each.call.method) for each in place.server.requests[before:]] == ["POST"]


# Busy channels


async def test_twelve_hundred_messages_in_four_minutes_do_not_prevent_a_post(place: Place) -> None:
    channel, process = await place.text(), place.process()
    subscription = await place.subscribed(process, channel)
    await process.reconciliations.record_alive(place.clock.now())
    for number in range(1200):
        at = place.server.world.snowflakes.at(SLOT + timedelta(seconds=number / 5))
        channel.post(place.guild.owner.user, {"content": "talk"}, message_id=at)
    before = len(place.server.requests)
    await place.tick(process, SLOT + timedelta(minutes=15))
    assert (await last(process, subscription)).state is State.SENT
    assert len(place.server.requests) - before <= 20


async def test_a_post_with_a_lost_response_is_found_in_a_busy_channel(place: Place) -> None:
    channel, process = await place.text(), place.process()
    subscription = await place.subscribed(process, channel)
    place.server.inject("POST", POST, request_fault.cut().carried_out())
    place.server.inject("POST", POST, request_fault.html(502), FOREVER)
    await place.tick(process, SLOT)
    place.server.rest.faults.pending.clear()
    for number in range(20_000):
        at = place.server.world.snowflakes.at(SLOT + timedelta(seconds=1 + number * 4.32))
        channel.post(place.guild.owner.user, {"content": "talk"}, message_id=at)
    before = len(place.server.requests)
    await place.tick(process, SLOT + timedelta(minutes=6))
    assert ((await last(process, subscription)).state, len(place.posts(channel))) == (State.SENT, 1)
    assert len(place.server.requests) - before <= 5
