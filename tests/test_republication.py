"""Republication of posts in the loopback Discord, with a real database: each post is edited in its own form."""

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

CORRECTED = "A small core for web applications, corrected."
LEASE = timedelta(seconds=45)
EDIT_PAUSE = timedelta(seconds=32)


@dataclass
class RepublicationPlace(places.Place):
    """A place with a database in which the sender's posts are recorded."""

    database: Database
    library: Library
    cards: RenderedPosts
    sender: DiscordSender

    def __post_init__(self) -> None:
        self.ledger = Deliveries(self.database)
        self.queue = Republication(self.database)

    async def subscribe(self, channel: Channel, **given: Any) -> Subscription:
        """Subscribe the channel, or change the given options."""

        def build(current: Subscription | None, timezone: str) -> Subscription:
            return subscription_rules.subscribe(current, self.guild.id, channel.id, timezone, Choices(**given), MONDAY)

        return (await Subscriptions(self.database).put(self.guild.id, channel.id, build)).after

    async def post(self, *, publish: bool, form_recorded: bool = True, found: bool = False) -> Delivery:
        """Post Flask in a new channel; a post that was `found` in the history has no recorded version or form."""
        channel = self.guild.add_announcement_channel("news")
        await self.knows(channel)
        subscription = await self.subscribe(channel, publish=publish)
        delivery = await self.ledger.claim_manual(subscription, lambda *_: Plan("flask", 1), self.clock.now(), LEASE)
        assert delivery is not None
        sent = await self.sender.send(delivery, self.library.topics["flask"])
        version, form = (None if found else sent.version), (sent.form if form_recorded and not found else None)
        await self.ledger.record_sent(delivery, sent.message_id, sent.channel_id, [], MONDAY, version, form)
        return delivery

    def message(self, delivery: Delivery) -> Message:
        [message] = self.server.messages_in(self.guild.channels[delivery.subscription.channel_id])
        return message

    async def republish(self) -> int:
        """Change Flask's summary, edit its posts, and return their number."""
        flask = self.library.topics["flask"].model_copy(update={"summary": CORRECTED})
        track = Track(slug=EVERYTHING, title="Everything", summary="All of it.", topics=("flask",))
        changed = Library([flask], [track])
        self.republication = Worker(
            RepublicationHandler(lambda: changed, self.queue, self.sender, self.clock), self.clock
        )
        enqueued = await self.queue.enqueue_outdated({"flask"}, self.cards.versions(flask), self.clock.now())
        await self.run_jobs()
        return enqueued

    async def run_jobs(self) -> None:
        """Run the due edits."""
        for job in list(await self.republication.claim(100)):
            await job

    async def recorded(self, delivery: Delivery) -> Delivery:
        found = await self.ledger.get(delivery.id)
        assert found is not None
        return found


@pytest.fixture
async def place(clock: FakeClock, database: Database, library: Library) -> AsyncIterator[RepublicationPlace]:
    async with online(clock) as base:
        cards = RenderedPosts()
        sender = DiscordSender(base.client, cards, custom_ids.delivered)
        yield RepublicationPlace(base.server, base.guild, base.client, base.clock, database, library, cards, sender)


POSTS: dict[str, tuple[dict[str, bool], PostForm]] = {
    "a post": ({"publish": False}, PostForm.COMPONENTS),
    "a published post": ({"publish": True}, PostForm.EMBED),
    "a post of an earlier version": ({"publish": False, "form_recorded": False}, PostForm.COMPONENTS),
    "a post that was found": ({"publish": False, "found": True}, PostForm.COMPONENTS),
    "a published post that was found": ({"publish": True, "found": True}, PostForm.EMBED),
}


async def test_each_post_is_edited_in_its_own_form_whatever_publish_is_now(place: RepublicationPlace) -> None:
    posts = {name: await place.post(**options) for name, (options, _) in POSTS.items()}
    for delivery in posts.values():
        channel = place.guild.channels[delivery.subscription.channel_id]
        await place.subscribe(channel, publish=not delivery.subscription.options.publish)
    before = {name: place.message(delivery).custom_ids for name, delivery in posts.items()}
    assert await place.republish() == len(POSTS)
    for name, (_, form) in POSTS.items():
        message, recorded = place.message(posts[name]), await place.recorded(posts[name])
        assert CORRECTED in message.text, name
        assert (Flag.COMPONENTS_V2 in message.flags) == (form is PostForm.COMPONENTS), name
        assert message.custom_ids == before[name]
        assert recorded.known_form is form, name
    assert await place.republish() == 0


async def test_an_unreadable_found_post_is_edited_by_a_later_republication(place: RepublicationPlace) -> None:
    delivery = await place.post(publish=True, found=True)
    place.guild.channels[delivery.subscription.channel_id].forbid(Permission.READ_MESSAGE_HISTORY)
    assert await place.republish() == 1
    assert CORRECTED not in place.message(delivery).text
    assert (await place.recorded(delivery)).version is None
    place.guild.channels[delivery.subscription.channel_id].overwrites.clear()
    assert await place.republish() == 1
    assert CORRECTED in place.message(delivery).text


async def test_an_edit_with_an_unreadable_response_is_retried_with_backoff_and_then_abandoned(
    place: RepublicationPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise UnreadableAnswerError("KeyError")

    delivery = await place.post(publish=False)
    place.server.inject("PATCH", "/messages/", request_fault.json_body(200, {"id": None}))
    await place.republish()
    monkeypatch.setattr(place.sender, "edit", unreadable)
    pauses = []
    while next_at := await place.queue.next_at():
        pauses.append(next_at - place.clock.now())
        place.clock.instant = next_at
        await place.run_jobs()
    assert 0.75 * EDIT_PAUSE <= pauses[0] < 1.25 * EDIT_PAUSE
    assert all(0.75 * LONGEST <= pause <= 1.25 * LONGEST for pause in pauses[2:])
    assert len(pauses) == MAX_UNREADABLE - 1
    recorded = await place.recorded(delivery)
    assert (recorded.edit_attempts, recorded.reason) == (MAX_UNREADABLE, "Discord's answer cannot be read (KeyError)")


async def test_a_deleted_found_post_is_not_enqueued_again(place: RepublicationPlace) -> None:
    delivery = await place.post(publish=True, found=True)
    place.message(delivery).delete()
    assert await place.republish() == 1
    assert await place.republish() == 0
