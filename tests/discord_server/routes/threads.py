"""Threads and forum posts."""

from collections.abc import Iterable
from datetime import datetime

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.channel import Channel
from discord_server.error import ApiError
from discord_server.forum import Forum
from discord_server.payload import Payload
from discord_server.permission import Permission
from discord_server.thread import Thread
from discord_server.world import World

from .access import channel_of, message_of

routes = Routes()


@routes.on("POST", "/channels/{channel_id}/messages/{message_id}/threads")
def open_thread(world: World, call: Call) -> Reply:
    """Start a thread from a message; it gets the message's ID."""
    channel = channel_of(world, call, Permission.CREATE_PUBLIC_THREADS)
    message = message_of(channel, call)
    _check_active_threads(channel)
    thread = Thread.open_on(message, world.bot, call.body)
    thread.publish()
    return Reply(thread.payload(), 201)


def _check_active_threads(channel: Channel) -> None:
    if len(channel.guild.active_threads()) >= channel.world.most_active_threads:
        raise ApiError(160006)


@routes.on("POST", "/channels/{channel_id}/threads")
def open_post(world: World, call: Call) -> Reply:
    """Start a forum post with its first message, or a thread without one in another channel."""
    channel = channel_of(world, call)
    _check_active_threads(channel)
    if isinstance(channel, Forum):
        return _open_forum_post(world, channel, call)
    channel_of(world, call, Permission.CREATE_PUBLIC_THREADS)
    thread = Thread.open(channel, world.bot, world.snowflakes.next(), call.body)
    thread.publish()
    return Reply(thread.payload(), 201)


def _open_forum_post(world: World, forum: Forum, call: Call) -> Reply:
    channel_of(world, call, Permission.SEND_MESSAGES)
    _check_tags(forum, call.body)
    thread = Thread.open_post(forum, world.bot, call.body, call.uploads)
    thread.publish()
    return Reply(thread.payload() | {"message": thread.messages[thread.id].payload()}, 201)


def _check_tags(forum: Forum, body: Payload) -> None:
    tags = {int(tag) for tag in body.get("applied_tags") or ()}
    if forum.requires_tag and not tags:
        raise ApiError(40067)
    if tags - {tag.id for tag in forum.tags}:
        raise ApiError(50035)


@routes.on("GET", "/guilds/{guild_id}/threads/active")
def list_active_threads(world: World, call: Call) -> Reply:
    """Return a guild's active threads."""
    threads = world.guild(call.id("guild_id")).active_threads()
    return Reply(_listing(thread for thread in threads if Permission.VIEW_CHANNEL in _bot_permissions(thread)))


def _bot_permissions(thread: Thread) -> Permission:
    return thread.guild.bot_permissions(thread)


@routes.on("GET", "/channels/{channel_id}/threads/archived/public")
def list_archived_threads(world: World, call: Call) -> Reply:
    """Return a page of a channel's archived threads, the last archived first."""
    channel = channel_of(world, call, Permission.READ_MESSAGE_HISTORY)
    limit, before = call.limit(50), datetime.fromisoformat(call.query.get("before", "9999-12-31T00:00:00Z"))
    ids, has_more = channel.archive.page(before, limit)
    return Reply(_listing(channel.guild.threads[each] for each in ids) | {"has_more": has_more})


def _listing(threads: Iterable[Thread]) -> Payload:
    listed = list(threads)
    members = [thread.member_payload() for thread in listed]
    return {"threads": [thread.payload() for thread in listed], "members": members, "has_more": False}


@routes.on("PUT", "/channels/{channel_id}/thread-members/@me")
@routes.on("DELETE", "/channels/{channel_id}/thread-members/@me")
def join_or_leave_thread(world: World, call: Call) -> Reply:
    """Let the bot join or leave a thread."""
    if not isinstance(channel_of(world, call), Thread):
        raise ApiError(50024)
    return NO_CONTENT
