"""Republisher over a real ledger, of posts in the loopback Discord: each is edited in the form that it has."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import places
from discord_server import Channel, Flag, Message, Permission, request_fault
from fakes import MONDAY, FakeClock
from places import online
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.db.database import Database
from weekbot.delivery.errors import UnreadableAnswerError
from weekbot.delivery.republication import MAX_UNREADABLE, RepublicationHandler
from weekbot.delivery.retry import LONGEST
from weekbot.delivery.worker import Worker
from weekbot.discord_io.sender import DiscordSender
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, Plan, PostForm
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.republication import Republication
from weekbot.store.subscriptions import Subscriptions

RED = "A small core for web applications, corrected."
LEASE = timedelta(seconds=45)
CORRECTION_PAUSE = timedelta(seconds=32)


@dataclass
class Press(places.Place):
    """With a ledger, and a sender whose posts are recorded there."""

    database: Database
    library: Library
    cards: RenderedPosts
    sender: DiscordSender

    def __post_init__(self) -> None:
        self.ledger = Deliveries(self.database)
        self.copies = Republication(self.database)

    async def switch(self, channel: Channel, **given: Any) -> Subscription:
        """Subscribe the channel, or change what is given."""

        def build(current: Subscription | None, timezone: str) -> Subscription:
            return subscription_rules.subscribe(current, self.guild.id, channel.id, timezone, Choices(**given), MONDAY)

        return (await Subscriptions(self.database).put(self.guild.id, channel.id, build)).after

    async def post(self, *, publish: bool, form_recorded: bool = True, found: bool = False) -> Delivery:
        """A post of Flask in a new channel; of one that was found in the history neither version nor form is known."""
        channel = self.guild.add_announcement_channel("news")
        await self.knows(channel)
        subscription = await self.switch(channel, publish=publish)
        delivery = await self.ledger.claim_manual(subscription, lambda *_: Plan("flask", 1), self.clock.now(), LEASE)
        assert delivery is not None
        sent = await self.sender.send(delivery, self.library.topics["flask"])
        version, form = (None if found else sent.version), (sent.form if form_recorded and not found else None)
        await self.ledger.record_sent(delivery, sent.message_id, sent.channel_id, [], MONDAY, version, form)
        return delivery

    def message(self, delivery: Delivery) -> Message:
        [message] = self.server.messages_in(self.guild.channels[delivery.subscription.channel_id])
        return message

    async def correct(self) -> int:
        """Edit the copies of Flask that show another summary; how many there were."""
        flask = self.library.topics["flask"].model_copy(update={"summary": RED})
        track = Track(slug=EVERYTHING, title="Everything", summary="All of it.", topics=("flask",))
        changed = Library([flask], [track])
        self.corrections = Worker(
            RepublicationHandler(lambda: changed, self.copies, self.sender, self.clock), self.clock
        )
        marked = await self.copies.enqueue_outdated({"flask"}, self.cards.versions(flask), self.clock.now())
        await self.work()
        return marked

    async def work(self) -> None:
        """Make the edits that are due."""
        for work in list(await self.corrections.claim(100)):
            await work

    async def recorded(self, delivery: Delivery) -> Delivery:
        found = await self.ledger.get(delivery.id)
        assert found is not None
        return found


@pytest.fixture
async def press(clock: FakeClock, database: Database, library: Library) -> AsyncIterator[Press]:
    async with online(clock) as place:
        cards = RenderedPosts()
        sender = DiscordSender(place.client, cards, custom_ids.delivered)
        yield Press(place.server, place.guild, place.client, place.clock, database, library, cards, sender)


POSTS: dict[str, tuple[dict[str, bool], PostForm]] = {
    "a post": ({"publish": False}, PostForm.COMPONENTS),
    "a published post": ({"publish": True}, PostForm.EMBED),
    "a post of an earlier version": ({"publish": False, "form_recorded": False}, PostForm.COMPONENTS),
    "a post that was found": ({"publish": False, "found": True}, PostForm.COMPONENTS),
    "a published post that was found": ({"publish": True, "found": True}, PostForm.EMBED),
}


async def test_each_copy_is_edited_in_its_own_form_whatever_publish_is_now(press: Press) -> None:
    posts = {name: await press.post(**how) for name, (how, _) in POSTS.items()}
    for delivery in posts.values():
        channel = press.guild.channels[delivery.subscription.channel_id]
        await press.switch(channel, publish=not delivery.subscription.options.publish)
    before = {name: press.message(delivery).custom_ids for name, delivery in posts.items()}
    assert await press.correct() == len(POSTS)
    for name, (_, form) in POSTS.items():
        message, recorded = press.message(posts[name]), await press.recorded(posts[name])
        assert RED in message.text, name
        assert (Flag.COMPONENTS_V2 in message.flags) == (form is PostForm.COMPONENTS), name
        assert message.custom_ids == before[name]
        assert recorded.known_form is form, name
    assert await press.correct() == 0


async def test_a_found_copy_that_cannot_be_looked_at_is_left_for_the_next_time(press: Press) -> None:
    delivery = await press.post(publish=True, found=True)
    press.guild.channels[delivery.subscription.channel_id].forbid(Permission.READ_MESSAGE_HISTORY)
    assert await press.correct() == 1
    assert RED not in press.message(delivery).text
    assert (await press.recorded(delivery)).version is None
    press.guild.channels[delivery.subscription.channel_id].overwrites.clear()
    assert await press.correct() == 1
    assert RED in press.message(delivery).text


async def test_an_edit_whose_answer_cannot_be_read_is_repeated_more_and_more_rarely_and_then_given_up(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise UnreadableAnswerError("KeyError")

    delivery = await press.post(publish=False)
    press.server.inject("PATCH", "/messages/", request_fault.json_body(200, {"id": None}))
    await press.correct()
    monkeypatch.setattr(press.sender, "edit", unreadable)
    pauses = []
    while next_at := await press.copies.next_at():
        pauses.append(next_at - press.clock.now())
        press.clock.instant = next_at
        await press.work()
    assert 0.75 * CORRECTION_PAUSE <= pauses[0] < 1.25 * CORRECTION_PAUSE
    assert all(0.75 * LONGEST <= pause <= 1.25 * LONGEST for pause in pauses[2:])
    assert len(pauses) == MAX_UNREADABLE - 1
    recorded = await press.recorded(delivery)
    assert (recorded.edit_attempts, recorded.reason) == (MAX_UNREADABLE, "Discord's answer cannot be read (KeyError)")


async def test_a_found_copy_that_was_deleted_is_done_with(press: Press) -> None:
    delivery = await press.post(publish=True, found=True)
    press.message(delivery).delete()
    assert await press.correct() == 1
    assert await press.correct() == 0
