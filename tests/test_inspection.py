"""Problems that would spoil the next post, as a real client finds them: it asks Discord for archived threads only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

import places
from discord_server import Channel, Permission
from discord_server.channel import ChannelKind
from discord_server.forum import Tag
from discord_server.payload import Payload
from discord_server.thread import Thread
from fakes import FakeClock
from places import online
from weekbot.delivery.errors import RetryableError
from weekbot.discord_io.channel_checks import GONE, THREAD_CLOSED, THREAD_GONE, ChannelChecks
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import ENGLISH


class ModeratedTag(Tag):
    """One that only moderators may use."""

    def payload(self) -> Payload:
        return super().payload() | {"moderated": True}


LOOK = ("GET", "/channels/{channel_id}")


@dataclass
class Place(places.Place):
    """With an inspection of what its client knows."""

    inspection: ChannelChecks

    async def found(self, channel: Channel, **options: Any) -> str | None:
        """What is wrong with a subscription, as soon as the client has heard of all that was done."""
        await self.has_heard()
        return await self.inspection(self.subscription(channel, **options))

    async def shown(self, *subscriptions: Subscription) -> list[str | None]:
        troubles = await self.inspection.now(ENGLISH, subscriptions)
        return [troubles.get(each.id) for each in subscriptions]

    def looks(self) -> int:
        """How often a thread was asked for."""
        return len(self.server.sent(*LOOK))

    async def archived(self, parent: Channel, **more: bool) -> Thread:
        """A thread that the client has forgotten."""
        thread = await self.thread(parent)
        thread.edit({"archived": True, **more})
        await self.client.until(lambda: self.client.get_channel(thread.id) is None)
        return thread


@pytest.fixture
async def place(clock: FakeClock) -> AsyncIterator[Place]:
    async with online(clock) as place:
        before = len(place.server.requests)
        yield Place(place.server, place.guild, place.client, place.clock, ChannelChecks(place.client))
        assert {(each.call.method, each.route) for each in place.server.requests[before:]} <= {LOOK}


async def test_all_is_well_where_nothing_is_wrong(place: Place) -> None:
    news = place.guild.add_announcement_channel("news")
    learners = place.guild.add_role("learners", mentionable=True)
    thread = await place.thread(await place.text())
    assert await place.found(news, thread=True, pin=True, publish=True, ping_role_id=learners.id) is None
    assert await place.found(place.guild.add_forum("showcase"), ping_role_id=learners.id) is None
    assert await place.found(thread, pin=True, ping_role_id=learners.id) is None


# The channel


async def test_a_deleted_channel_is_gone(place: Place) -> None:
    channel = await place.text()
    channel.delete()
    assert await place.found(channel) == GONE


async def test_a_thread_is_gone_with_its_channel(place: Place) -> None:
    channel = await place.text()
    thread = await place.thread(channel)
    channel.delete()
    assert await place.found(thread) == GONE


async def test_a_channel_that_cannot_be_seen_lacks_view_channel(place: Place) -> None:
    channel = await place.text()
    channel.forbid(Permission.VIEW_CHANNEL)
    assert "View Channel" in str(await place.found(channel))


# Permissions

LACKING: dict[str, tuple[Permission, dict[str, bool]]] = {
    "Send Messages": (Permission.SEND_MESSAGES, {}),
    "Read Message History": (Permission.READ_MESSAGE_HISTORY, {}),
    "Create Public Threads": (Permission.CREATE_PUBLIC_THREADS, {"thread": True}),
    "Send Messages in Threads": (Permission.SEND_MESSAGES_IN_THREADS, {"thread": True}),
    "Pin Messages": (Permission.PIN_MESSAGES, {"pin": True}),
}


@pytest.mark.parametrize("name", LACKING)
async def test_a_missing_permission_is_named_alone(place: Place, name: str) -> None:
    permission, options = LACKING[name]
    channel = await place.text()
    channel.forbid(permission)
    assert await place.found(channel, **options) == f"weekbot is missing {name}"


async def test_permissions_that_no_option_asks_for_are_not_missed(place: Place) -> None:
    channel = await place.text()
    unused = Permission.PIN_MESSAGES | Permission.CREATE_PUBLIC_THREADS | Permission.SEND_MESSAGES_IN_THREADS
    channel.forbid(unused | Permission.EMBED_LINKS | Permission.ATTACH_FILES)
    assert await place.found(channel) is None


async def test_publishing_needs_embeds(place: Place) -> None:
    news = place.guild.add_announcement_channel("news")
    news.forbid(Permission.EMBED_LINKS)
    assert await place.found(news, publish=True) == "weekbot is missing Embed Links"
    assert await place.found(news) is None


async def test_what_is_missing_is_listed(place: Place) -> None:
    channel = await place.text()
    channel.forbid(Permission.PIN_MESSAGES | Permission.READ_MESSAGE_HISTORY)
    assert await place.found(channel, pin=True) == "weekbot is missing Read Message History and Pin Messages"


async def test_a_forum_needs_create_posts(place: Place) -> None:
    forum = place.guild.add_forum("showcase")
    forum.forbid(Permission.SEND_MESSAGES)
    assert await place.found(forum) == "weekbot is missing Create Posts"


@pytest.mark.parametrize("in_forum", [False, True])
@pytest.mark.parametrize("archived", [False, True])
async def test_a_thread_needs_its_channels_send_messages_in_threads(
    place: Place, *, in_forum: bool, archived: bool
) -> None:
    """Where it is archived, the client does not know it any more."""
    channel = place.guild.add_forum("showcase") if in_forum else place.guild.add_text_channel("weekly")
    await place.knows(channel)
    thread = await place.thread(channel)
    channel.forbid(Permission.SEND_MESSAGES | Permission.CREATE_PUBLIC_THREADS)
    if archived:
        thread.edit({"archived": True})
        await place.client.until(lambda: place.client.get_channel(thread.id) is None)
    assert await place.found(thread) is None
    assert place.looks() == archived
    channel.forbid(Permission.SEND_MESSAGES_IN_THREADS)
    assert await place.found(thread) == "weekbot is missing Send Messages in Threads"


async def test_a_permission_that_is_given_back_is_no_problem_any_more(place: Place) -> None:
    channel = await place.text()
    channel.forbid(Permission.SEND_MESSAGES)
    assert await place.found(channel)
    channel.forbid(Permission(0))
    assert await place.found(channel) is None


# What the channel is like


async def test_a_locked_thread_is_told_unless_the_bot_may_open_it(place: Place) -> None:
    channel = await place.text()
    thread = await place.thread(channel)
    thread.edit({"locked": True})
    assert "the thread is locked" in str(await place.found(thread))
    channel.overwrite(place.guild.bot_role, allow=Permission.MANAGE_THREADS)
    assert await place.found(thread) is None


async def test_a_deleted_thread_is_gone(place: Place) -> None:
    thread = await place.thread(await place.text())
    thread.delete()
    assert await place.found(thread) == THREAD_GONE
    assert await place.shown(place.subscription(thread)) == [THREAD_GONE]


@pytest.mark.parametrize("in_forum", [False, True])
async def test_an_archived_thread_that_is_locked_cannot_be_posted_in(place: Place, *, in_forum: bool) -> None:
    channel = place.guild.add_forum("showcase") if in_forum else place.guild.add_text_channel("weekly")
    await place.knows(channel)
    thread = await place.archived(channel, locked=True)
    closed = THREAD_CLOSED.format(permissions="Manage Threads")
    assert await place.found(thread) == closed
    assert await place.shown(place.subscription(thread)) == [closed]
    channel.overwrite(place.guild.bot_role, allow=Permission.MANAGE_THREADS)
    assert await place.found(thread) is None


async def test_a_thread_that_is_merely_archived_is_fine(place: Place) -> None:
    thread = await place.archived(await place.text())
    assert await place.found(thread) is None
    assert await place.shown(place.subscription(thread)) == [None]


async def test_an_archived_thread_in_a_channel_that_cannot_be_seen_is_not_asked_for(place: Place) -> None:
    channel = await place.text()
    thread = await place.archived(channel)
    channel.forbid(Permission.VIEW_CHANNEL)
    assert "View Channel" in str(await place.found(thread))
    assert not place.looks()


@pytest.mark.parametrize("answer", [(503, None), (404, None), (403, "<html>"), (400, {"code": 0, "message": "?"})])
async def test_an_answer_that_says_nothing_of_a_thread_proves_nothing(place: Place, answer: tuple[int, Any]) -> None:
    thread = await place.archived(await place.text())
    place.server.fail_next("GET", f"/channels/{thread.id}$", *answer)
    with pytest.raises(RetryableError):
        await place.found(thread)
    place.server.fail_next("GET", f"/channels/{thread.id}$", *answer)
    assert await place.shown(place.subscription(thread)) == [None]


async def test_what_is_shown_does_not_wait_for_a_slow_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.discord_io.channel_checks.SHOWN_WITHIN_SECONDS", 0.05)
    channel = await place.text()
    threads = [await place.archived(channel, locked=True) for _ in range(20)]
    place.server.latency = 1
    subscriptions = [replace(place.subscription(each), id=each.id) for each in threads]
    assert await place.shown(*subscriptions) == [None] * len(threads)


async def test_a_channel_that_is_no_announcement_channel_any_more_cannot_publish(place: Place) -> None:
    channel = place.guild.add_announcement_channel("news")
    assert await place.found(channel, publish=True) is None
    channel.kind = ChannelKind.TEXT
    channel.announce("UPDATE")
    assert await place.found(channel, publish=True) == "posts can be published only in an announcement channel"
    assert await place.found(channel) is None


NO_TAG = "the forum requires a tag, but has none that weekbot can use"


@pytest.mark.parametrize(
    ("tags", "required", "problem"),
    [
        ([], True, NO_TAG),
        ([ModeratedTag(1, "Official")], True, NO_TAG),
        ([ModeratedTag(1, "Official"), Tag(2, "News")], True, None),
        ([ModeratedTag(1, "Official")], False, None),
        ([], False, None),
    ],
)
async def test_a_forum_that_requires_a_tag_needs_one_that_is_not_for_moderators_only(
    place: Place, tags: list[Tag], required: bool, problem: str | None
) -> None:
    forum = place.guild.add_forum("showcase", requires_tag=required)
    forum.tags = tags
    forum.announce("UPDATE")
    assert await place.found(forum) == problem


@pytest.mark.parametrize("archived", [False, True])
async def test_a_thread_of_a_forum_needs_no_further_tag(place: Place, *, archived: bool) -> None:
    forum = place.guild.add_forum("showcase", requires_tag=True)
    await place.knows(forum)
    thread = await place.thread(forum)
    if archived:
        thread.edit({"archived": True})
        await place.client.until(lambda: place.client.get_channel(thread.id) is None)
    assert await place.found(thread) is None


# The role


async def test_a_deleted_role_is_gone(place: Place) -> None:
    channel, role = await place.text(), place.guild.add_role("learners", mentionable=True)
    assert await place.found(channel, ping_role_id=role.id) is None
    del place.guild.roles[role.id]
    place.guild.emit("GUILD_ROLE_DELETE", {"guild_id": str(place.guild.id), "role_id": str(role.id)})
    assert await place.found(channel, ping_role_id=role.id) == "the role to ping is gone"


async def test_a_role_that_is_not_mentionable_is_named_unless_the_bot_may_mention_all(place: Place) -> None:
    channel, role = await place.text(), place.guild.add_role("learners", mentionable=True)
    role.mentionable = False
    place.guild.emit("GUILD_ROLE_UPDATE", {"guild_id": str(place.guild.id), "role": role.payload()})
    assert await place.found(channel, ping_role_id=role.id) == "weekbot isn't allowed to ping @learners"
    channel.overwrite(place.guild.bot_role, allow=Permission.MENTION_EVERYONE)
    assert await place.found(channel, ping_role_id=role.id) is None


async def test_all_that_is_wrong_is_told_at_once(place: Place) -> None:
    channel = await place.text()
    channel.forbid(Permission.SEND_MESSAGES)
    found = str(await place.found(channel, publish=True, ping_role_id=1))
    assert [part.split()[-1] for part in found.split("; ")] == ["Links", "channel", "gone"]


# The server


async def test_during_an_outage_nothing_is_known(place: Place) -> None:
    channel = await place.text()
    subscription = place.subscription(channel)
    await place.goes_down()
    with pytest.raises(RetryableError, match="outage"):
        await place.inspection(subscription)
    assert "outage" in str(await place.shown(subscription))
    await place.comes_back()
    assert await place.inspection(subscription) is None
    assert await place.shown(subscription) == [None]


async def test_of_a_server_that_is_not_there_nothing_is_known(place: Place) -> None:
    subscription = place.subscription(await place.text())
    place.guild.kick_bot()
    await place.client.until(lambda: not place.client.guilds)
    with pytest.raises(RetryableError):
        await place.inspection(subscription)
    assert await place.shown(subscription) != [None]
