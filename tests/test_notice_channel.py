"""The channel for a server's notices: a real client against the loopback Discord."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

import places
from discord_server import Channel, Permission
from discord_server.mention import pings_everyone
from fakes import FakeClock
from places import online
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.notice_channel import NoticeChannels
from weekbot.domain.subscriptions import Subscription
from weekbot.store.subscriptions import Subscriptions

MESSAGES = "/channels/{channel_id}/messages"
SENDING = r"/channels/\d+/messages$"
TEXT = "The channel lacks a permission."
PUBLIC_TEXT = "Something is wrong."
NOTICE = "a" * 24


@dataclass
class Place(places.Place):
    """A server with a system channel, a notices channel, and a subscribed channel."""

    notice_channels: NoticeChannels
    system: Channel
    chosen: Channel
    subscribed: Channel
    subscriptions: Subscriptions

    def subscription_with_notices_in(self, channel: Channel | None) -> Subscription:
        """Return a subscription whose server has this notices channel, or none."""
        return replace(self.subscription(self.subscribed), guild_notices_id=channel.id if channel else None)

    async def post(self, subscription: Subscription, text: str = TEXT, notice: str = NOTICE) -> None:
        await self.receive_events()
        await self.notice_channels.post(subscription, text, notice, PUBLIC_TEXT)

    async def subscribe(self, channel: Channel, **state: Any) -> Subscription:
        """Store a subscription in that state."""
        new = replace(self.subscription(channel), id=0)
        await self.subscriptions.put(self.guild.id, channel.id, lambda _, __: new)
        changed = await self.subscriptions.change(channel.id, lambda current: replace(current, **state))
        assert changed is not None
        return changed.after

    def notices(self) -> dict[str, list[str]]:
        """Return the texts in each channel that has any."""
        channels = [*self.guild.channels.values(), *self.guild.threads.values()]
        texts = {each.name: [message.text for message in each.history()] for each in channels}
        return {name: posted for name, posted in texts.items() if posted}

    def make_system(self, channel: Channel | None) -> None:
        self.guild.system_channel = channel
        self.guild.emit("GUILD_UPDATE", self.guild.payload())


@pytest.fixture
async def place(clock: FakeClock, subscriptions: Subscriptions) -> AsyncIterator[Place]:
    async with online(clock) as place:
        system, chosen, subscribed = [await place.text(name) for name in ("system", "chosen", "subscribed")]
        notice_channels, parts = (
            NoticeChannels(place.client, subscriptions),
            (system, chosen, subscribed, subscriptions),
        )
        whole = Place(place.server, place.guild, place.client, place.clock, notice_channels, *parts)
        whole.make_system(system)
        yield whole


async def test_the_notices_channel_is_the_first_choice(place: Place) -> None:
    await place.post(place.subscription_with_notices_in(place.chosen))
    assert place.notices() == {"chosen": [TEXT]}


async def test_the_system_channel_is_the_default(place: Place) -> None:
    await place.post(place.subscription_with_notices_in(None))
    assert place.notices() == {"system": [TEXT]}


@pytest.mark.parametrize("permission", [Permission.SEND_MESSAGES, Permission.VIEW_CHANNEL])
async def test_the_system_channel_replaces_a_notices_channel_without_permissions(
    place: Place, permission: Permission
) -> None:
    place.chosen.forbid(permission)
    await place.post(place.subscription_with_notices_in(place.chosen))
    assert place.notices() == {"system": [TEXT]}


async def test_the_system_channel_replaces_a_deleted_notices_channel(place: Place) -> None:
    subscription = place.subscription_with_notices_in(place.chosen)
    place.chosen.delete()
    await place.post(subscription)
    assert place.notices() == {"system": [TEXT]}


@pytest.mark.parametrize("exists", [False, True])
async def test_no_request_is_sent_without_a_writable_channel(place: Place, *, exists: bool) -> None:
    for channel in (place.chosen, place.system):
        channel.forbid(Permission.SEND_MESSAGES)
    place.make_system(place.system if exists else None)
    before = len(place.server.requests)
    with pytest.raises(PermanentError, match="no channel for notices"):
        await place.post(place.subscription_with_notices_in(place.chosen))
    assert len(place.server.requests) == before


# Without a notices channel


@pytest.fixture
async def bare_place(place: Place) -> Place:
    """Its server has neither a system channel nor a notices channel."""
    place.make_system(None)
    return place


async def test_another_subscribed_channel_gets_the_public_text(bare_place: Place) -> None:
    blocked = await bare_place.subscribe(bare_place.subscribed, blocked="no access")
    bare_place.subscribed.forbid(Permission.SEND_MESSAGES)
    await bare_place.subscribe(bare_place.chosen)
    await bare_place.post(blocked)
    assert bare_place.notices() == {"chosen": [PUBLIC_TEXT]}


async def test_a_subscribed_thread_gets_the_public_text(bare_place: Place) -> None:
    blocked = await bare_place.subscribe(bare_place.subscribed, blocked="no access")
    bare_place.subscribed.forbid(Permission.SEND_MESSAGES)
    await bare_place.subscribe(await bare_place.thread(bare_place.chosen))
    bare_place.chosen.forbid(Permission.SEND_MESSAGES)
    await bare_place.post(blocked)
    assert bare_place.notices() == {"corner": [PUBLIC_TEXT]}


@pytest.mark.parametrize("state", [{"blocked": "no access"}, {"paused": True}], ids=str)
async def test_a_working_channel_is_preferred_to_a_blocked_or_paused_one(
    bare_place: Place, state: dict[str, Any]
) -> None:
    blocked = await bare_place.subscribe(bare_place.subscribed, blocked="no access")
    await bare_place.subscribe(bare_place.system, **state)
    await bare_place.subscribe(bare_place.chosen)
    await bare_place.post(blocked)
    assert bare_place.notices() == {"chosen": [PUBLIC_TEXT]}


async def test_the_channel_with_the_problem_is_the_last_choice(bare_place: Place) -> None:
    warned = await bare_place.subscribe(bare_place.subscribed)
    await bare_place.post(warned)
    assert bare_place.notices() == {"subscribed": [PUBLIC_TEXT]}


async def test_forums_locked_threads_and_unsubscribed_channels_get_no_notice(bare_place: Place) -> None:
    blocked = await bare_place.subscribe(bare_place.subscribed, blocked="no access")
    bare_place.subscribed.forbid(Permission.SEND_MESSAGES)
    await bare_place.subscribe(bare_place.chosen, active=False)
    forum = bare_place.guild.add_forum("showcase")
    await bare_place.knows(forum)
    await bare_place.subscribe(forum)
    locked = await bare_place.thread(bare_place.chosen)
    locked.edit({"locked": True})
    await bare_place.subscribe(locked)
    with pytest.raises(PermanentError, match="no channel for notices"):
        await bare_place.post(blocked)
    assert not bare_place.notices()


async def test_another_servers_channel_gets_no_notice(bare_place: Place) -> None:
    blocked = await bare_place.subscribe(bare_place.subscribed, blocked="no access")
    bare_place.subscribed.forbid(Permission.SEND_MESSAGES)
    elsewhere = bare_place.server.add_guild("Other").add_text_channel("elsewhere")
    await bare_place.knows(elsewhere)
    other = replace(bare_place.subscription(elsewhere), id=0, guild_id=elsewhere.guild.id)
    await bare_place.subscriptions.put(elsewhere.guild.id, elsewhere.id, lambda _, __: other)
    with pytest.raises(PermanentError):
        await bare_place.post(blocked)
    assert not elsewhere.history()


async def test_a_server_that_the_bot_left_gets_no_notice(place: Place) -> None:
    place.guild.kick_bot()
    await place.client.until(lambda: not place.client.guilds)
    before = len(place.server.requests)
    with pytest.raises(RetryableError):
        await place.notice_channels.post(place.subscription_with_notices_in(place.chosen), TEXT, NOTICE, PUBLIC_TEXT)
    assert len(place.server.requests) == before


async def test_no_request_is_sent_during_the_servers_outage(place: Place) -> None:
    subscription = place.subscription_with_notices_in(place.chosen)
    await place.receive_events()
    await place.begin_outage()
    before = len(place.server.requests)
    with pytest.raises(RetryableError, match="outage"):
        await place.notice_channels.post(subscription, TEXT, NOTICE, PUBLIC_TEXT)
    assert len(place.server.requests) == before
    await place.end_outage()
    await place.post(subscription)
    assert place.notices() == {"chosen": [TEXT]}


async def test_a_notice_is_not_duplicated_after_a_lost_response(place: Place) -> None:
    subscription = place.subscription_with_notices_in(place.chosen)
    place.server.cut_next("POST", SENDING, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.post(subscription)
    await place.post(subscription)
    assert place.notices() == {"chosen": [TEXT]}
    await place.post(subscription, notice="b" * 24)
    assert place.notices() == {"chosen": [TEXT, TEXT]}


async def test_discords_refusal_is_a_permanent_error(place: Place) -> None:
    subscription = place.subscription_with_notices_in(place.chosen)
    place.server.fail_next("POST", SENDING, 403, {"code": 50013, "message": "Missing Permissions"})
    with pytest.raises(PermanentError, match="lacks a permission"):
        await place.post(subscription)
    place.server.fail_next("POST", SENDING, 503)
    with pytest.raises(AmbiguousError, match="503"):
        await place.post(subscription)


async def test_mentions_in_a_reason_ping_nobody(place: Place) -> None:
    place.chosen.overwrite(place.guild.bot_role, allow=Permission.MENTION_EVERYONE)
    role = place.guild.add_role("all", mentionable=True)
    await place.post(place.subscription_with_notices_in(place.chosen), f"@everyone @here <@&{role.id}> <@&1>")
    [request] = place.server.sent("POST", MESSAGES)
    assert request.call.body["allowed_mentions"] == {"parse": []}
    [message] = place.chosen.history()
    assert not message.pinged_roles
    assert not pings_everyone(message.text, message.allowed_mentions)
