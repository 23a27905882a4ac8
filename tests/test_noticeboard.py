"""Where a server's moderators are told what is wrong: a real client against the loopback Discord."""

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
    """With a system channel, a channel chosen for notices, and a subscribed channel that has neither task."""

    board: NoticeChannels
    system: Channel
    chosen: Channel
    subscribed: Channel
    subscriptions: Subscriptions

    def subscription_told_in(self, channel: Channel | None) -> Subscription:
        """The subscription of a server that wants its notices there, or that has no wish."""
        return replace(self.subscription(self.subscribed), guild_notices_id=channel.id if channel else None)

    async def tells(self, subscription: Subscription, text: str = TEXT, notice: str = NOTICE) -> None:
        await self.has_heard()
        await self.board.post(subscription, text, notice, PUBLIC_TEXT)

    async def subscribes(self, channel: Channel, **state: Any) -> Subscription:
        """The stored subscription of a channel, in that state."""
        new = replace(self.subscription(channel), id=0)
        await self.subscriptions.put(self.guild.id, channel.id, lambda _, __: new)
        changed = await self.subscriptions.change(channel.id, lambda current: replace(current, **state))
        assert changed is not None
        return changed.after

    def told(self) -> dict[str, list[str]]:
        """By channel, what stands in it, where anything does."""
        places = [*self.guild.channels.values(), *self.guild.threads.values()]
        texts = {each.name: [message.text for message in each.history()] for each in places}
        return {name: said for name, said in texts.items() if said}

    def make_system(self, channel: Channel | None) -> None:
        self.guild.system_channel = channel
        self.guild.emit("GUILD_UPDATE", self.guild.payload())


@pytest.fixture
async def place(clock: FakeClock, subscriptions: Subscriptions) -> AsyncIterator[Place]:
    async with online(clock) as place:
        system, chosen, subscribed = [await place.text(name) for name in ("system", "chosen", "subscribed")]
        board, parts = NoticeChannels(place.client, subscriptions), (system, chosen, subscribed, subscriptions)
        whole = Place(place.server, place.guild, place.client, place.clock, board, *parts)
        whole.make_system(system)
        yield whole


async def test_the_channel_chosen_for_notices_comes_first(place: Place) -> None:
    await place.tells(place.subscription_told_in(place.chosen))
    assert place.told() == {"chosen": [TEXT]}


async def test_without_a_chosen_channel_the_system_channel_is_told(place: Place) -> None:
    await place.tells(place.subscription_told_in(None))
    assert place.told() == {"system": [TEXT]}


@pytest.mark.parametrize("permission", [Permission.SEND_MESSAGES, Permission.VIEW_CHANNEL])
async def test_where_the_bot_may_not_write_in_the_chosen_channel_the_system_channel_is_told(
    place: Place, permission: Permission
) -> None:
    place.chosen.forbid(permission)
    await place.tells(place.subscription_told_in(place.chosen))
    assert place.told() == {"system": [TEXT]}


async def test_where_the_chosen_channel_was_deleted_the_system_channel_is_told(place: Place) -> None:
    subscription = place.subscription_told_in(place.chosen)
    place.chosen.delete()
    await place.tells(subscription)
    assert place.told() == {"system": [TEXT]}


@pytest.mark.parametrize("exists", [False, True])
async def test_where_there_is_no_channel_to_write_in_nothing_is_asked(place: Place, *, exists: bool) -> None:
    for channel in (place.chosen, place.system):
        channel.forbid(Permission.SEND_MESSAGES)
    place.make_system(place.system if exists else None)
    before = len(place.server.requests)
    with pytest.raises(PermanentError, match="no channel for notices"):
        await place.tells(place.subscription_told_in(place.chosen))
    assert len(place.server.requests) == before


# Without a channel for notices


@pytest.fixture
async def unheard(place: Place) -> Place:
    """Its server has no system channel, and none for notices."""
    place.make_system(None)
    return place


async def test_another_channel_with_a_weekly_topic_learns_that_something_is_wrong_but_not_what(unheard: Place) -> None:
    blocked = await unheard.subscribes(unheard.subscribed, blocked="no access")
    unheard.subscribed.forbid(Permission.SEND_MESSAGES)
    await unheard.subscribes(unheard.chosen)
    await unheard.tells(blocked)
    assert unheard.told() == {"chosen": [PUBLIC_TEXT]}


async def test_a_thread_with_a_weekly_topic_will_do(unheard: Place) -> None:
    blocked = await unheard.subscribes(unheard.subscribed, blocked="no access")
    unheard.subscribed.forbid(Permission.SEND_MESSAGES)
    await unheard.subscribes(await unheard.thread(unheard.chosen))
    unheard.chosen.forbid(Permission.SEND_MESSAGES)
    await unheard.tells(blocked)
    assert unheard.told() == {"corner": [PUBLIC_TEXT]}


@pytest.mark.parametrize("state", [{"blocked": "no access"}, {"paused": True}], ids=str)
async def test_a_channel_that_works_comes_before_one_that_may_not(unheard: Place, state: dict[str, Any]) -> None:
    blocked = await unheard.subscribes(unheard.subscribed, blocked="no access")
    await unheard.subscribes(unheard.system, **state)
    await unheard.subscribes(unheard.chosen)
    await unheard.tells(blocked)
    assert unheard.told() == {"chosen": [PUBLIC_TEXT]}


async def test_the_channel_in_trouble_itself_comes_last(unheard: Place) -> None:
    warned = await unheard.subscribes(unheard.subscribed)
    await unheard.tells(warned)
    assert unheard.told() == {"subscribed": [PUBLIC_TEXT]}


async def test_a_forum_a_locked_thread_or_a_channel_that_has_unsubscribed_is_told_nothing(unheard: Place) -> None:
    blocked = await unheard.subscribes(unheard.subscribed, blocked="no access")
    unheard.subscribed.forbid(Permission.SEND_MESSAGES)
    await unheard.subscribes(unheard.chosen, active=False)
    forum = unheard.guild.add_forum("showcase")
    await unheard.knows(forum)
    await unheard.subscribes(forum)
    locked = await unheard.thread(unheard.chosen)
    locked.edit({"locked": True})
    await unheard.subscribes(locked)
    with pytest.raises(PermanentError, match="no channel for notices"):
        await unheard.tells(blocked)
    assert not unheard.told()


async def test_another_servers_channel_is_told_nothing(unheard: Place) -> None:
    blocked = await unheard.subscribes(unheard.subscribed, blocked="no access")
    unheard.subscribed.forbid(Permission.SEND_MESSAGES)
    elsewhere = unheard.server.add_guild("Other").add_text_channel("elsewhere")
    await unheard.knows(elsewhere)
    other = replace(unheard.subscription(elsewhere), id=0, guild_id=elsewhere.guild.id)
    await unheard.subscriptions.put(elsewhere.guild.id, elsewhere.id, lambda _, __: other)
    with pytest.raises(PermanentError):
        await unheard.tells(blocked)
    assert not elsewhere.history()


async def test_a_server_that_was_left_is_told_nothing(place: Place) -> None:
    place.guild.kick_bot()
    await place.client.until(lambda: not place.client.guilds)
    before = len(place.server.requests)
    with pytest.raises(RetryableError):
        await place.board.post(place.subscription_told_in(place.chosen), TEXT, NOTICE, PUBLIC_TEXT)
    assert len(place.server.requests) == before


async def test_during_an_outage_of_the_server_it_is_not_sent_and_nothing_is_asked(place: Place) -> None:
    subscription = place.subscription_told_in(place.chosen)
    await place.has_heard()
    await place.goes_down()
    before = len(place.server.requests)
    with pytest.raises(RetryableError, match="outage"):
        await place.board.post(subscription, TEXT, NOTICE, PUBLIC_TEXT)
    assert len(place.server.requests) == before
    await place.comes_back()
    await place.tells(subscription)
    assert place.told() == {"chosen": [TEXT]}


async def test_a_notice_whose_answer_was_lost_is_the_same_when_it_is_sent_again(place: Place) -> None:
    subscription = place.subscription_told_in(place.chosen)
    place.server.cut_next("POST", SENDING, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.tells(subscription)
    await place.tells(subscription)
    assert place.told() == {"chosen": [TEXT]}
    await place.tells(subscription, notice="b" * 24)
    assert place.told() == {"chosen": [TEXT, TEXT]}


async def test_a_channel_that_discord_refuses_all_the_same_is_told_apart_from_trouble(place: Place) -> None:
    subscription = place.subscription_told_in(place.chosen)
    place.server.fail_next("POST", SENDING, 403, {"code": 50013, "message": "Missing Permissions"})
    with pytest.raises(PermanentError, match="lacks a permission"):
        await place.tells(subscription)
    place.server.fail_next("POST", SENDING, 503)
    with pytest.raises(AmbiguousError, match="503"):
        await place.tells(subscription)


async def test_a_hostile_reason_pings_nobody_though_the_bot_may_ping_all(place: Place) -> None:
    place.chosen.overwrite(place.guild.bot_role, allow=Permission.MENTION_EVERYONE)
    role = place.guild.add_role("all", mentionable=True)
    await place.tells(place.subscription_told_in(place.chosen), f"@everyone @here <@&{role.id}> <@&1>")
    [request] = place.server.sent("POST", MESSAGES)
    assert request.call.body["allowed_mentions"] == {"parse": []}
    [message] = place.chosen.history()
    assert not message.pinged_roles
    assert not pings_everyone(message.text, message.allowed_mentions)
