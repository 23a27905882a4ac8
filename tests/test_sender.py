"""The sender: discord.py over real HTTP, against the loopback Discord or SimCord."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest
from discord.http import Route

import places
from discord_server import Channel, Flag, Message, Permission, request_fault
from discord_server.fault import FOREVER, Planned
from discord_server.follower import Follower
from discord_server.message import THREAD_STARTER
from discord_server.oddity import MESSAGE_ODDITIES
from discord_server.thread import Thread
from discord_server.user import User
from fakes import MONDAY, FakeClock
from places import OtherShard, online
from simulation import simulated
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.content.library import Library
from weekbot.content.model import Framework, Topic
from weekbot.delivery.errors import (
    AmbiguousError,
    HistoryUnreadableError,
    PermanentError,
    RateLimitedError,
    RetryableError,
)
from weekbot.delivery.ports import NONCE_KNOWN, HistoryPage, SentMessage
from weekbot.discord_io import history
from weekbot.discord_io.sender import DiscordSender
from weekbot.domain.deliveries import Delivery, PostForm, State
from weekbot.domain.reconciliations import Post
from weekbot.domain.steps import StepName
from weekbot.runtime.errors import WeekbotError

MESSAGES = "/channels/{channel_id}/messages"
DELIVERY = "d" * 24
OTHER = "e" * 24
SINCE = MONDAY - timedelta(hours=1)
SENDING = MESSAGES_OF = r"/channels/\d+/messages$"


@dataclass
class Place(places.Place):
    sender: DiscordSender

    def delivery(self, channel: Channel, delivery_id: str = DELIVERY, **options: Any) -> Delivery:
        now, subscription = self.clock.now(), self.subscription(channel, **options)
        return Delivery(delivery_id, subscription, now, "flask", 1, True, False, State.PENDING, first_attempt_at=now)

    def posts(self, channel: Channel) -> list[Message]:
        """Return the channel's messages, except those that Discord adds to the start of a thread."""
        return [message for message in self.server.messages_in(channel) if message.kind != THREAD_STARTER]


def with_sender(place: places.Place) -> Place:
    sender = DiscordSender(place.client, RenderedPosts(), custom_ids.delivered)
    return Place(place.server, place.guild, place.client, place.clock, sender)


@pytest.fixture
async def place(clock: FakeClock) -> AsyncIterator[Place]:
    async with online(clock) as place:
        yield with_sender(place)


@pytest.fixture
async def uncached(clock: FakeClock) -> AsyncIterator[Place]:
    """A place whose server belongs to another process, so that it isn't cached."""
    async with online(clock, OtherShard) as place:
        assert place.client.get_guild(place.guild.id) is None
        yield with_sender(place)


@pytest.fixture
def flask(library: Library) -> Topic:
    return library.topics["flask"]


def posted(delivery: Delivery, sent: SentMessage, pinned: int | None = None) -> Delivery:
    """Return the delivery as it is recorded after it was sent."""
    subscription = replace(delivery.subscription, pinned_message_id=pinned)
    return replace(
        delivery,
        subscription=subscription,
        message_id=sent.message_id,
        message_channel_id=sent.channel_id,
        version=sent.version,
        form=sent.form,
    )


STEPS = (StepName.THREAD, StepName.PIN, StepName.PUBLISH)


async def found(place: Place, delivery: Delivery) -> SentMessage | None:
    """Return the delivery's message, if it is in the channel's history."""
    read = await place.sender.find(delivery, SINCE, None)
    assert read.cursor is None
    return SentMessage(read.posts[0].message_id, read.posts[0].channel_id) if read.posts else None


# Posting


async def test_a_post_has_the_deliverys_id_as_its_nonce_and_pings_nobody(place: Place, flask: Topic) -> None:
    channel = await place.text()
    sent = await place.sender.send(place.delivery(channel), flask)
    [request] = place.server.sent("POST", MESSAGES)
    body = request.call.body
    [message] = place.posts(channel)
    assert (body["nonce"], body["enforce_nonce"]) == (DELIVERY, True)
    assert body["allowed_mentions"] == {"parse": []}
    assert sent == SentMessage(message.id, channel.id)
    assert "## This week: Flask" in message.text
    assert custom_ids.more(DELIVERY, "flask") in message.custom_ids
    assert Flag.COMPONENTS_V2 in message.flags


async def test_a_post_pings_only_the_chosen_role(place: Place, flask: Topic) -> None:
    channel = await place.text()
    learners, _ = place.guild.add_role("learners", mentionable=True), place.guild.add_role("others")
    hostile = flask.model_copy(update={"summary": "Hello @everyone and <@&1>."})
    await place.sender.send(place.delivery(channel, ping_role_id=learners.id), hostile)
    [request] = place.server.sent("POST", MESSAGES)
    assert request.call.body["allowed_mentions"] == {"parse": [], "roles": [str(learners.id)]}
    assert place.posts(channel)[0].pinged_roles == [learners.id]


async def test_a_delivery_sent_twice_while_discord_knows_its_nonce_is_one_post(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    place.server.cut_next("POST", SENDING, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.sender.send(delivery, flask)
    place.clock.instant += place.sender.nonce_known(delivery)
    again = await place.sender.send(delivery, flask)
    assert [message.id for message in place.posts(channel)] == [again.message_id]


async def test_a_forum_post_is_a_thread_named_after_the_topic(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    learners = place.guild.add_role("learners", mentionable=True)
    delivery = place.delivery(forum, ping_role_id=learners.id)
    sent = await place.sender.send(delivery, flask)
    [thread] = place.guild.threads.values()
    [message] = place.posts(thread)
    assert thread.name == "This week: Flask"
    assert sent == SentMessage(message.id, thread.id)
    assert message.pinged_roles == [learners.id]
    assert place.sender.nonce_known(delivery) == timedelta()


@pytest.mark.parametrize(
    ("tags", "required", "applied"),
    [
        (["News", "Flask"], False, ["Flask"]),
        (["News", "WEB"], True, ["WEB"]),
        (["News", "Other"], True, ["News"]),
        (["News", "Other"], False, []),
        ([], False, []),
    ],
)
async def test_a_forum_post_has_a_matching_or_a_required_tag(
    place: Place, flask: Topic, tags: list[str], required: bool, applied: list[str]
) -> None:
    forum = place.guild.add_forum("showcase", tags, requires_tag=required)
    await place.knows(forum)
    await place.sender.send(place.delivery(forum), flask)
    [thread] = place.guild.threads.values()
    assert thread.applied_tags == [forum.tag(name).id for name in applied]


async def test_a_forum_that_requires_a_tag_but_has_none_refuses_the_post(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase", requires_tag=True)
    await place.knows(forum)
    with pytest.raises(PermanentError, match="the forum requires a tag"):
        await place.sender.send(place.delivery(forum), flask)


async def test_a_thread_can_get_posts(place: Place, flask: Topic) -> None:
    channel = await place.text()
    message = await place.client.get_partial_messageable(channel.id, guild_id=place.guild.id).send("hello")
    opened = await message.create_thread(name="corner")
    thread = place.guild.threads[opened.id]
    sent = await place.sender.send(place.delivery(thread), flask)
    assert [message.id for message in place.posts(thread)] == [sent.message_id]


# Publishing


async def followed(place: Place) -> tuple[Channel, Channel]:
    """Return an announcement channel, and a channel of another server that follows it."""
    news, reader = (
        place.guild.add_announcement_channel("news"),
        place.server.add_guild("Readers").add_text_channel("py"),
    )
    await place.knows(news)
    news.followers.append(Follower(reader, User(place.server.world.snowflakes.next(), "news", bot=True)))
    return news, reader


async def published(place: Place, delivery: Delivery, topic: Topic) -> Delivery:
    """Send and publish the delivery."""
    sent = posted(delivery, await place.sender.send(delivery, topic))
    await place.sender.follow_up(StepName.PUBLISH, sent, topic)
    return sent


async def test_a_following_channel_gets_a_posts_text_but_not_its_components(place: Place, flask: Topic) -> None:
    news, reader = await followed(place)
    await published(place, place.delivery(news, publish=True), flask)
    [post], [copy] = place.posts(news), place.posts(reader)
    assert isinstance(flask, Framework)
    assert copy.components == []
    assert copy.text == post.text
    for part in (flask.title, flask.summary, flask.body.first_steps.install, flask.body.week[6], flask.body.discuss):
        assert part in copy.text
    assert f"[Docs]({flask.docs})" in copy.text
    assert custom_ids.more(DELIVERY, "flask") in post.custom_ids
    assert Flag.COMPONENTS_V2 not in post.flags


async def test_a_published_post_pings_the_chosen_role_but_nobody_in_following_channels(
    place: Place, flask: Topic
) -> None:
    news, reader = await followed(place)
    learners, others = place.guild.add_role("learners", mentionable=True), place.guild.add_role("others")
    hostile = flask.model_copy(update={"summary": f"Hello @everyone and <@&{others.id}>."})
    await published(place, place.delivery(news, publish=True, ping_role_id=learners.id), hostile)
    [request] = place.server.sent("POST", MESSAGES)
    assert request.call.body["allowed_mentions"] == {"parse": [], "roles": [str(learners.id)]}
    [post], [copy] = place.posts(news), place.posts(reader)
    assert (post.content, post.pinged_roles) == (f"<@&{learners.id}>", [learners.id])
    assert copy.pinged_roles == []


async def test_a_post_in_the_home_channel_is_an_embed(place: Place, flask: Topic) -> None:
    channel = await place.text()
    sender = DiscordSender(place.client, RenderedPosts(channel.id), custom_ids.delivered)
    assert (await sender.send(place.delivery(channel), flask)).form is PostForm.EMBED
    assert place.posts(channel)[0].embeds


async def test_a_post_uses_components_if_discord_would_drop_its_embed(place: Place, flask: Topic) -> None:
    news, _ = await followed(place)
    news.forbid(Permission.EMBED_LINKS)
    await place.receive_events()
    sent = await place.sender.send(place.delivery(news, publish=True), flask)
    assert sent.form is PostForm.COMPONENTS
    assert "## This week: Flask" in place.posts(news)[0].text


async def test_a_post_by_an_earlier_attempt_is_recorded_in_its_own_form(place: Place, flask: Topic) -> None:
    """A moderator turned on `publish` between the attempts."""
    news, _ = await followed(place)
    place.server.cut_next("POST", SENDING, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.sender.send(place.delivery(news), flask)
    sent = await place.sender.send(place.delivery(news, publish=True), flask)
    assert sent.form is PostForm.COMPONENTS
    [post] = place.posts(news)
    assert Flag.COMPONENTS_V2 in post.flags


@pytest.mark.parametrize("publish", [False, True])
async def test_a_post_is_edited_in_its_own_form_after_publish_changed(
    place: Place, flask: Topic, publish: bool
) -> None:
    news, reader = await followed(place)
    learners = place.guild.add_role("learners", mentionable=True)
    delivery = place.delivery(news, publish=publish, ping_role_id=learners.id)
    sent = await published(place, delivery, flask)
    edited = flask.model_copy(update={"summary": "Something else."})
    switched = place.subscription(news, publish=not publish)
    await place.sender.edit(replace(sent, subscription=switched), edited)
    [post], [copy] = place.posts(news), place.posts(reader)
    assert "Something else." in post.text
    assert f"<@&{learners.id}>" not in post.text
    assert custom_ids.more(DELIVERY, "flask") in post.custom_ids
    assert (Flag.COMPONENTS_V2 in post.flags) == (not publish)
    assert copy.text == (post.text if publish else "")
    assert place.sender.version(sent, edited) != sent.version


@pytest.mark.parametrize("form", PostForm)
async def test_the_form_of_a_found_post_is_looked_up(place: Place, flask: Topic, form: PostForm) -> None:
    news, _ = await followed(place)
    delivery = place.delivery(news, publish=form is PostForm.EMBED)
    await place.sender.send(delivery, flask)
    again = await found(place, delivery)
    assert again is not None
    unknown = posted(delivery, again)
    assert unknown.known_form is None
    known = await place.sender.with_form(unknown)
    assert known.form is form
    before = len(place.server.requests)
    assert await place.sender.with_form(known) == known
    assert len(place.server.requests) == before
    await place.sender.edit(known, flask.model_copy(update={"summary": "Something else."}))
    assert "Something else." in place.posts(news)[0].text


async def test_published_posts_are_found_in_a_channel(place: Place, flask: Topic) -> None:
    news, _ = await followed(place)
    first = await place.sender.send(place.delivery(news, OTHER), flask)
    second = await place.sender.send(place.delivery(news, publish=True), flask)
    read = await place.sender.posts_in(place.subscription(news), SINCE, None)
    assert [(post.delivery_id, post.message_id) for post in read.posts] == [
        (OTHER, first.message_id),
        (DELIVERY, second.message_id),
    ]


async def test_a_published_post_gets_its_thread_and_its_pin(place: Place, flask: Topic) -> None:
    news, _ = await followed(place)
    sent = await published(place, place.delivery(news, publish=True), flask)
    await place.sender.follow_up(StepName.THREAD, sent, flask)
    await place.sender.follow_up(StepName.PIN, sent, flask)
    [thread] = place.guild.threads.values()
    assert (thread.name, thread.id) == ("This week: Flask", sent.message_id)
    assert [message.id for message in news.pins] == [sent.message_id]


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_published_post_in_an_uncached_server_is_an_embed_if_discord_shows_it(
    uncached: Place, flask: Topic, allowed: bool
) -> None:
    news = uncached.guild.add_announcement_channel("news")
    news.forbid(Permission(0) if allowed else Permission.EMBED_LINKS)
    sent = await uncached.sender.send(uncached.delivery(news, publish=True), flask)
    assert sent.form is (PostForm.EMBED if allowed else PostForm.COMPONENTS)
    assert "This week: Flask" in uncached.posts(news)[0].text


# Errors


NO = {"code": 200000, "message": "Message was blocked by automatic moderation"}
SLOWMODE = {"code": 20016, "message": "This action cannot be performed due to slowmode rate limit"}
OVERLOADED = {"code": 130000, "message": "API resource is currently overloaded. Try again a little later"}
INTERNAL = {"code": 40333, "message": "internal network error"}
Spoil = Callable[[Place, Channel], None]
REFUSALS: dict[str, tuple[Spoil, str]] = {
    "no permission": (lambda _, channel: channel.forbid(Permission.SEND_MESSAGES), "lacks a permission"),
    "channel not visible": (lambda _, channel: channel.forbid(Permission.VIEW_CHANNEL), "View Channel"),
    "channel deleted": (lambda _, channel: channel.delete(), "the channel is gone"),
    "kicked from the server": (lambda place, _: place.guild.kick_bot(), "View Channel"),
    "a rule of the channel": (
        lambda place, _: place.server.fail_next("POST", SENDING, 400, NO),
        "automatic moderation",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_has_a_reason(place: Place, flask: Topic, spoil: Spoil, reason: str) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    spoil(place, channel)
    with pytest.raises(PermanentError, match=reason):
        await place.sender.send(delivery, flask)


FAILURES: dict[str, tuple[int, Any, type[WeekbotError]]] = {
    "unavailable": (503, None, AmbiguousError),
    "slowmode": (400, SLOWMODE, RetryableError),
    "overloaded": (400, OVERLOADED, RetryableError),
    "an error within Discord": (403, INTERNAL, RetryableError),
    "an unknown code": (403, {"code": 999999, "message": "New rule"}, RetryableError),
    "without a code": (403, {"message": "Forbidden"}, AmbiguousError),
    "with the code 0": (404, {"message": "404: Not Found", "code": 0}, AmbiguousError),
    "a time-out": (408, {"message": "408: Request Timeout", "code": 0}, AmbiguousError),
}


@pytest.mark.parametrize(("status", "body", "kind"), FAILURES.values(), ids=FAILURES)
async def test_retryable_errors_differ_from_ambiguous_errors(
    place: Place, flask: Topic, status: int, body: Any, kind: type[WeekbotError]
) -> None:
    channel = await place.text()
    place.server.fail_next("POST", SENDING, status, body)
    with pytest.raises(kind, match=f"{(body or {}).get('code') or status}"):
        await place.sender.send(place.delivery(channel), flask)
    await place.sender.send(place.delivery(channel), flask)
    assert len(place.posts(channel)) == 1


async def test_no_request_is_sent_after_the_token_was_refused(place: Place, flask: Topic) -> None:
    channel = await place.text()
    place.server.fail_next("POST", SENDING, 401)
    with pytest.raises(RetryableError, match="401"):
        await place.sender.send(place.delivery(channel), flask)
    with pytest.raises(RetryableError):
        await place.sender.send(place.delivery(channel), flask)
    assert len(place.server.sent("POST", MESSAGES)) == 1


async def test_a_rate_limited_post_is_retryable_after_the_limit(place: Place, flask: Topic) -> None:
    channel = await place.text()
    place.server.fail_next("POST", SENDING, 429, {"message": "slow", "retry_after": 0.02, "global": False})
    with pytest.raises(RateLimitedError) as caught:
        await place.sender.send(place.delivery(channel), flask)
    assert (caught.value.after, caught.value.everywhere) == (timedelta(seconds=0.02), False)
    await place.sender.send(place.delivery(channel), flask)
    assert len(place.posts(channel)) == 1


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_cut_connection_is_ambiguous(place: Place, flask: Topic, takes_effect: bool) -> None:
    channel = await place.text()
    place.server.cut_next("POST", SENDING, takes_effect=takes_effect)
    with pytest.raises(AmbiguousError, match="cut"):
        await place.sender.send(place.delivery(channel), flask)
    assert len(place.posts(channel)) == takes_effect


async def test_a_refused_connection_is_retryable(place: Place, flask: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = await place.text()
    monkeypatch.setattr(Route, "BASE", "http://127.0.0.1:1/api/v10")
    with pytest.raises(RetryableError, match="cannot be reached"):
        await place.sender.send(place.delivery(channel), flask)


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_server_error_is_ambiguous(tmp_path: Path, clock: FakeClock, status: int) -> None:
    """Use SimCord: there, discord.py doesn't retry for half a minute."""
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe")
        simulation.env.inject_error("POST", "/channels/*/messages", status=status)
        assert f"({status})" in (await simulation.slash("weekly post")).text
        await simulation.deliver()
        first, second = simulation.bodies("/messages")
        assert first["nonce"] == second["nonce"]
        assert len(simulation.posts()) == 1


# Finding


async def test_an_ambiguous_post_is_found_in_the_channel(place: Place, flask: Topic) -> None:
    """Discord has forgotten the nonce, so only the look-up prevents a duplicate."""
    channel = await place.text()
    delivery = place.delivery(channel)
    place.server.cut_next("POST", SENDING, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.sender.send(delivery, flask)
    place.clock.instant += NONCE_KNOWN + timedelta(minutes=3)
    [message] = place.posts(channel)
    assert await found(place, delivery) == SentMessage(message.id, channel.id)


async def test_a_post_is_found_by_its_deliverys_id(place: Place, flask: Topic, library: Library) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    await place.sender.send(place.delivery(channel, OTHER), flask)
    sent = await place.sender.send(delivery, flask)
    await place.client.get_partial_messageable(channel.id).send(f"weekbot:more:{DELIVERY}:flask")
    assert await found(place, delivery) == sent
    assert await found(place, place.delivery(channel, "0" * 24)) is None


async def test_a_post_is_found_behind_many_messages(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    owner = place.guild.owner.user
    for number in range(150):
        channel.post(owner, {"content": str(number)})
    sent = await place.sender.send(delivery, flask)
    for number in range(150):
        channel.post(owner, {"content": str(number)})
    place.clock.move(hours=20)
    for number in range(150):
        channel.post(owner, {"content": str(number)})
    assert await found(place, delivery) == sent


async def test_a_forum_post_is_found_among_the_forums_threads(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    delivery = place.delivery(forum)
    await place.sender.send(place.delivery(forum, OTHER), flask)
    sent = await place.sender.send(delivery, flask)
    assert await found(place, delivery) == sent
    assert await found(place, place.delivery(forum, "0" * 24)) is None


async def test_a_forum_post_is_not_repeated_after_a_server_error(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    place.server.fail_next("POST", r"/channels/\d+/threads$", 502, takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.sender.send(place.delivery(forum), flask)
    assert len(place.server.sent("POST", "/channels/{channel_id}/threads")) == 1
    assert await found(place, place.delivery(forum))


async def test_an_archived_forum_post_is_found(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    delivery = place.delivery(forum)
    sent = await place.sender.send(delivery, flask)
    place.guild.threads[sent.channel_id].edit({"archived": True})
    assert await found(place, delivery) == sent


async def test_a_forum_post_is_found_beside_one_without_its_first_message(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    delivery = place.delivery(forum)
    sent = await place.sender.send(delivery, flask)
    emptied = await place.sender.send(place.delivery(forum, OTHER), flask)
    place.guild.threads[emptied.channel_id].messages.clear()
    assert await found(place, delivery) == sent


@pytest.mark.parametrize("is_forum", [False, True])
async def test_an_unreadable_history_does_not_pass_for_an_empty_one(place: Place, flask: Topic, is_forum: bool) -> None:
    channel = place.guild.add_forum("showcase") if is_forum else place.guild.add_text_channel("weekly")
    await place.knows(channel)
    delivery = place.delivery(channel)
    await place.sender.send(delivery, flask)
    channel.forbid(Permission.READ_MESSAGE_HISTORY)
    known = place.client.get_channel(channel.id)
    assert isinstance(known, discord.abc.GuildChannel)
    await place.client.until(lambda: not known.permissions_for(known.guild.me).read_message_history)
    with pytest.raises(HistoryUnreadableError, match="Read Message History"):
        await found(place, delivery)


@pytest.mark.parametrize("answer", [{}, "text", None], ids=str)
async def test_a_payload_that_is_not_a_list_does_not_pass_for_an_empty_history(
    place: Place, flask: Topic, answer: object
) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    await place.sender.send(delivery, flask)
    place.server.inject("GET", MESSAGES_OF, request_fault.json_body(200, answer))
    with pytest.raises(AmbiguousError):
        await found(place, delivery)


async def test_a_deleted_channel_cannot_be_searched(place: Place) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    channel.delete()
    with pytest.raises(HistoryUnreadableError):
        await found(place, delivery)


async def test_a_search_that_fails_temporarily_is_retryable(place: Place) -> None:
    channel = await place.text()
    place.server.fail_next("GET", SENDING, 503)
    with pytest.raises(AmbiguousError):
        await found(place, place.delivery(channel))


# Steps


async def test_a_posts_thread_has_the_topics_question_once(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    for _ in range(2):
        await place.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = place.guild.threads.values()
    assert thread.name == "This week: Flask"
    assert [message.text for message in place.posts(thread)] == [flask.body.discuss]
    assert thread.auto_archive_duration == 7 * 24 * 60


async def test_a_thread_gets_a_missing_question_at_the_next_attempt(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    place.server.fail_next("POST", SENDING, 503)
    with pytest.raises(AmbiguousError):
        await place.sender.follow_up(StepName.THREAD, sent, flask)
    await place.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = place.guild.threads.values()
    assert [message.text for message in place.posts(thread)] == [flask.body.discuss]


async def test_an_old_thread_gets_no_second_question(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    place.server.cut_next("POST", rf"/channels/{sent.message_id}/messages$", takes_effect=True)
    with pytest.raises(AmbiguousError):
        await place.sender.follow_up(StepName.THREAD, sent, flask)
    place.clock.move(minutes=30)
    await place.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = place.guild.threads.values()
    assert len(place.posts(thread)) == 1


async def test_an_unreadable_response_leads_to_no_second_question(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    await place.sender.follow_up(StepName.THREAD, sent, flask)
    place.clock.move(minutes=30)
    place.server.inject("GET", MESSAGES_OF, request_fault.json_body(200, {}))
    with pytest.raises(AmbiguousError):
        await place.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = place.guild.threads.values()
    assert len(place.posts(thread)) == 1


async def test_a_forum_post_gets_no_thread_of_its_own(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    delivery = place.delivery(forum)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    await place.sender.follow_up(StepName.THREAD, sent, flask)
    assert len(place.guild.threads) == 1


async def test_a_pinned_post_replaces_the_last_pin(place: Place, flask: Topic) -> None:
    channel = await place.text()
    first, second = place.delivery(channel), place.delivery(channel, OTHER)
    last = await place.sender.send(first, flask)
    await place.sender.follow_up(StepName.PIN, posted(first, last), flask)
    this = await place.sender.send(second, flask)
    for _ in range(2):
        await place.sender.follow_up(StepName.PIN, posted(second, this, pinned=last.message_id), flask)
    assert [message.id for message in channel.pins] == [this.message_id]
    await place.sender.follow_up(StepName.PIN, posted(second, this, pinned=this.message_id), flask)
    assert [message.id for message in channel.pins] == [this.message_id]


async def test_other_pins_are_kept(place: Place, flask: Topic) -> None:
    channel = await place.text()
    rules = channel.post(place.guild.owner.user, {"content": "rules"})
    rules.pinned_at = place.clock.now()
    delivery = place.delivery(channel)
    await place.sender.follow_up(StepName.PIN, posted(delivery, await place.sender.send(delivery, flask)), flask)
    assert rules in channel.pins


async def test_the_last_post_may_have_been_deleted(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = await place.sender.send(delivery, flask)
    await place.sender.follow_up(StepName.PIN, posted(delivery, sent, pinned=1), flask)
    assert [message.id for message in channel.pins] == [sent.message_id]


async def test_a_post_is_published_once(place: Place, flask: Topic) -> None:
    news = place.guild.add_announcement_channel("news")
    await place.knows(news)
    delivery = place.delivery(news)
    sent = await place.sender.send(delivery, flask)
    for _ in range(2):
        await place.sender.follow_up(StepName.PUBLISH, posted(delivery, sent), flask)
    assert Flag.CROSSPOSTED in news.messages[sent.message_id].flags


@pytest.mark.parametrize("step", STEPS)
async def test_a_refused_step_has_a_reason(place: Place, flask: Topic, step: StepName) -> None:
    news = place.guild.add_announcement_channel("news")
    await place.knows(news)
    delivery = place.delivery(news)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    news.forbid(Permission.CREATE_PUBLIC_THREADS | Permission.PIN_MESSAGES | Permission.SEND_MESSAGES)
    with pytest.raises(PermanentError, match="lacks a permission"):
        await place.sender.follow_up(step, sent, flask)


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_on_a_deleted_post_raises_gone_error(place: Place, flask: Topic, step: StepName) -> None:
    news = place.guild.add_announcement_channel("news")
    await place.knows(news)
    delivery = place.delivery(news)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    news.messages.clear()
    with pytest.raises(PermanentError, match="the message is gone"):
        await place.sender.follow_up(step, sent, flask)


async def test_a_removed_topic_gets_no_thread(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    sent = posted(delivery, await place.sender.send(delivery, flask))
    await place.sender.follow_up(StepName.THREAD, sent, None)
    assert not place.guild.threads


# Servers of other processes


def opened_in(place: Place, parent: Channel) -> Thread:
    thread = Thread.open(parent, place.guild.owner.user, place.server.world.snowflakes.next(), {"name": "corner"})
    thread.publish()
    return thread


async def test_a_post_in_an_uncached_channel_takes_one_request(uncached: Place, flask: Topic) -> None:
    channel = uncached.guild.add_text_channel("weekly")
    before = len(uncached.server.requests)
    sent = await uncached.sender.send(uncached.delivery(channel), flask)
    [request] = uncached.server.requests[before:]
    [message] = uncached.posts(channel)
    assert request.call.body["nonce"] == DELIVERY
    assert sent == SentMessage(message.id, channel.id)


@pytest.mark.parametrize(("tags", "required", "applied"), [(["News", "Flask"], False, 1), (["News"], True, 0)])
async def test_a_post_in_an_uncached_forum_has_a_tag(
    uncached: Place, flask: Topic, tags: list[str], required: bool, applied: int
) -> None:
    forum = uncached.guild.add_forum("showcase", tags, requires_tag=required)
    learners = uncached.guild.add_role("learners", mentionable=True)
    sent = await uncached.sender.send(uncached.delivery(forum, ping_role_id=learners.id), flask)
    [thread] = uncached.guild.threads.values()
    [message] = uncached.posts(thread)
    assert sent == SentMessage(message.id, thread.id)
    assert thread.name == "This week: Flask"
    assert thread.applied_tags == [forum.tag(tags[applied]).id]
    assert message.pinged_roles == [learners.id]


async def test_the_nonce_of_a_possible_forum_post_is_unreliable(uncached: Place) -> None:
    channel = uncached.guild.add_text_channel("weekly")
    assert uncached.sender.nonce_known(uncached.delivery(channel)) == timedelta()


@pytest.mark.parametrize(("spoil", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_in_an_uncached_server_has_a_reason(
    uncached: Place, flask: Topic, spoil: Spoil, reason: str
) -> None:
    channel = uncached.guild.add_text_channel("weekly")
    spoil(uncached, channel)
    with pytest.raises(PermanentError, match=reason):
        await uncached.sender.send(uncached.delivery(channel), flask)


async def test_a_post_in_an_uncached_forum_is_found_after_a_lost_response(uncached: Place, flask: Topic) -> None:
    forum = uncached.guild.add_forum("showcase")
    delivery = uncached.delivery(forum)
    uncached.server.cut_next("POST", r"/channels/\d+/threads$", takes_effect=True)
    with pytest.raises(AmbiguousError):
        await uncached.sender.send(delivery, flask)
    [thread] = uncached.guild.threads.values()
    assert await found(uncached, delivery) == SentMessage(thread.id, thread.id)


PLACES: dict[str, Callable[[Place], Channel]] = {
    "text": lambda place: place.guild.add_text_channel("weekly"),
    "announcements": lambda place: place.guild.add_announcement_channel("news"),
    "thread": lambda place: opened_in(place, place.guild.add_text_channel("weekly")),
    "forum": lambda place: place.guild.add_forum("showcase"),
}


# All posts of a channel


@pytest.mark.parametrize("channel_in", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", [(), (OtherShard,)], ids=["here", "uncached"])
async def test_all_posts_since_an_instant_are_read(
    clock: FakeClock, library: Library, kind: Any, channel_in: Callable[[Place], Channel]
) -> None:
    async with online(clock, *kind) as made:
        place, dash = with_sender(made), library.topics["dash"]
        channel = channel_in(place)
        if not kind:
            await place.knows(channel)
        await place.sender.send(place.delivery(channel, OTHER), library.topics["django"])
        clock.move(days=1)
        sent = {id_: await place.sender.send(place.delivery(channel, id_), dash) for id_ in ("1" * 24, "2" * 24)}

        read = await place.sender.posts_in(place.subscription(channel), clock.now() - timedelta(milliseconds=1), None)

    expected = [Post(id_, "dash", sent[id_].message_id, sent[id_].channel_id, clock.now()) for id_ in sent]
    assert sorted(read.posts, key=lambda post: post.delivery_id) == expected
    assert read.cursor is None


async def test_other_messages_and_replies_are_not_posts(place: Place, flask: Topic) -> None:
    """Another weekbot, for example one under test, marks its posts, too."""
    channel = await place.text()
    await place.sender.send(place.delivery(channel), flask)
    [message] = place.posts(channel)
    channel.post(place.guild.owner.user, {"components": message.components, "flags": Flag.COMPONENTS_V2})
    channel.post(place.server.world.bot, {"content": custom_ids.more(OTHER, "flask")})
    read = await place.sender.posts_in(place.subscription(channel), SINCE, None)
    assert [post.message_id for post in read.posts] == [message.id]


async def test_a_rehearsals_post_does_not_pass_for_a_deliverys(place: Place, flask: Topic) -> None:
    channel = await place.text()
    rehearsed = place.delivery(channel, "rehearsal7f3a2c9d0000001")
    await place.sender.send(rehearsed, flask)
    assert await found(place, rehearsed) is None
    assert (await place.sender.posts_in(place.subscription(channel), SINCE, None)).posts == []


async def test_a_long_history_is_read_in_parts(place: Place, flask: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call has time for one page."""
    channel = await place.text()
    for number in range(250):
        channel.post(place.guild.owner.user, {"content": str(number)})
    sent = await place.sender.send(place.delivery(channel), flask)
    monkeypatch.setattr(history, "seconds_left", lambda: 0.0)
    cursor: str | None = None
    readings = list[HistoryPage]()
    while not readings or cursor:
        readings.append(await place.sender.find(place.delivery(channel), SINCE, cursor))
        cursor = readings[-1].cursor
    assert [[post.message_id for post in read.posts] for read in readings] == [[], [], [sent.message_id]]
    assert len(place.server.sent("GET", MESSAGES)) == 3


async def test_pages_read_before_an_error_are_not_read_again(place: Place, flask: Topic) -> None:
    channel = await place.text()
    for number in range(150):
        channel.post(place.guild.owner.user, {"content": str(number)})
    second = list(channel.messages)[99]
    place.server.rest.faults.pending.append(
        Planned(lambda call: call.query.get("after") == str(second), request_fault.html(502), FOREVER)
    )
    read = await place.sender.find(place.delivery(channel), SINCE, None)
    assert read == HistoryPage([], str(second))
    with pytest.raises(AmbiguousError):
        await place.sender.find(place.delivery(channel), SINCE, read.cursor)


@pytest.mark.parametrize("oddity", MESSAGE_ODDITIES)
async def test_an_unparsable_message_does_not_hide_others(place: Place, flask: Topic, oddity: str) -> None:
    channel = await place.text()
    channel.post(place.guild.owner.user, {"content": "before"}).make_odd(MESSAGE_ODDITIES[oddity])
    sent = await place.sender.send(place.delivery(channel), flask)
    channel.post(place.guild.owner.user, {"content": "after"}).make_odd(MESSAGE_ODDITIES[oddity])
    assert await found(place, place.delivery(channel)) == sent


async def test_a_busy_channel_is_read_from_the_attempt_on(place: Place, flask: Topic) -> None:
    channel = await place.text()
    start, gap = place.clock.now() - timedelta(days=1), timedelta(days=1) / 20_000
    for number in range(20_000):
        at = place.server.world.snowflakes.at(start + number * gap)
        channel.post(place.guild.owner.user, {"content": "talk"}, message_id=at)
    sent = await place.sender.send(place.delivery(channel), flask)
    read = await place.sender.find(place.delivery(channel), place.clock.now() - timedelta(minutes=5), None)
    assert [post.message_id for post in read.posts] == [sent.message_id]
    assert len(place.server.sent("GET", MESSAGES)) == 1


async def test_a_busy_forum_is_read_from_the_attempt_on(place: Place, flask: Topic) -> None:
    forum = place.guild.add_forum("showcase")
    await place.knows(forum)
    for number in range(20_000):
        at = place.clock.now() - timedelta(minutes=20 + number)
        Thread.archived_post(forum, place.server.world.bot, at, at, {"name": "old", "message": {"content": "old"}})
    sent = await place.sender.send(place.delivery(forum), flask)
    before = len(place.server.requests)
    read = await place.sender.find(place.delivery(forum), place.clock.now() - timedelta(minutes=5), None)
    assert [post.message_id for post in read.posts] == [sent.message_id]
    assert len(place.server.requests) - before == 2


@pytest.mark.parametrize("channel_in", PLACES.values(), ids=PLACES)
async def test_unreadable_posts_do_not_pass_for_none(
    uncached: Place, flask: Topic, channel_in: Callable[[Place], Channel]
) -> None:
    channel = channel_in(uncached)
    (channel.parent if isinstance(channel, Thread) else channel).forbid(Permission.READ_MESSAGE_HISTORY)
    with pytest.raises(HistoryUnreadableError, match="Read Message History"):
        await uncached.sender.posts_in(uncached.subscription(channel), SINCE, None)


@pytest.mark.parametrize("channel_in", PLACES.values(), ids=PLACES)
async def test_a_post_in_an_uncached_server_is_found(
    uncached: Place, flask: Topic, channel_in: Callable[[Place], Channel]
) -> None:
    channel = channel_in(uncached)
    delivery = uncached.delivery(channel)
    assert await found(uncached, delivery) is None
    await uncached.sender.send(uncached.delivery(channel, OTHER), flask)
    sent = await uncached.sender.send(delivery, flask)
    assert await found(uncached, delivery) == sent
    assert await found(uncached, uncached.delivery(channel, "0" * 24)) is None


@pytest.mark.parametrize("channel_in", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("missing", [Permission.READ_MESSAGE_HISTORY, Permission.VIEW_CHANNEL], ids=["read", "view"])
async def test_an_unreadable_uncached_history_does_not_pass_for_an_empty_one(
    uncached: Place, flask: Topic, channel_in: Callable[[Place], Channel], missing: Permission
) -> None:
    channel = channel_in(uncached)
    delivery = uncached.delivery(channel)
    await uncached.sender.send(delivery, flask)
    (channel.parent if isinstance(channel, Thread) else channel).forbid(missing)
    with pytest.raises(
        HistoryUnreadableError, match=r"the history cannot be read: .*(Read Message History|View Channel)"
    ):
        await found(uncached, delivery)


GONE: dict[str, Callable[[Place, Channel], object]] = {
    "channel": lambda _, channel: channel.delete(),
    "server": lambda place, _: place.guild.kick_bot(),
}


@pytest.mark.parametrize("go", GONE.values(), ids=GONE)
@pytest.mark.parametrize("channel_in", PLACES.values(), ids=PLACES)
async def test_a_deleted_uncached_channel_cannot_be_searched(
    uncached: Place, channel_in: Callable[[Place], Channel], go: Callable[[Place, Channel], object]
) -> None:
    channel = channel_in(uncached)
    delivery = uncached.delivery(channel)
    go(uncached, channel)
    with pytest.raises(HistoryUnreadableError):
        await found(uncached, delivery)


async def test_a_search_in_an_uncached_server_that_fails_temporarily_is_retryable(uncached: Place) -> None:
    channel = uncached.guild.add_text_channel("weekly")
    uncached.server.fail_next("GET", rf"/channels/{channel.id}", 503)
    with pytest.raises(AmbiguousError):
        await found(uncached, uncached.delivery(channel))


async def test_the_steps_of_a_post_in_an_uncached_server_are_carried_out(uncached: Place, flask: Topic) -> None:
    news = uncached.guild.add_announcement_channel("news")
    last = await uncached.sender.send(uncached.delivery(news, OTHER), flask)
    news.messages[last.message_id].pinned_at = uncached.clock.now()
    delivery = uncached.delivery(news)
    sent = posted(delivery, await uncached.sender.send(delivery, flask), pinned=last.message_id)
    for step in StepName:
        await uncached.sender.follow_up(step, sent, flask)
    await uncached.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = uncached.guild.threads.values()
    assert [message.text for message in uncached.posts(thread)] == [flask.body.discuss]
    assert [message.id for message in news.pins] == [sent.message_id]
    assert Flag.CROSSPOSTED in news.messages[sent.message_id or 0].flags


async def test_an_uncached_thread_with_an_unreadable_history_gets_no_second_question(
    uncached: Place, flask: Topic
) -> None:
    channel = uncached.guild.add_text_channel("weekly")
    delivery = uncached.delivery(channel)
    sent = posted(delivery, await uncached.sender.send(delivery, flask))
    await uncached.sender.follow_up(StepName.THREAD, sent, flask)
    channel.forbid(Permission.READ_MESSAGE_HISTORY)
    uncached.clock.move(hours=1)
    await uncached.sender.follow_up(StepName.THREAD, sent, flask)
    [thread] = uncached.guild.threads.values()
    assert len(uncached.posts(thread)) == 1


# A whole round, in SimCord


async def test_a_round_leaves_one_pin_and_a_thread_for_each_topic(
    tmp_path: Path, clock: FakeClock, library: Library
) -> None:
    async with simulated(tmp_path, clock) as simulation:
        options: dict[str, Any] = {"channel": simulation.news, "thread": True, "pin": True, "publish": True}
        await simulation.slash("weekly subscribe", track="web", **options)
        weeks = len(library.tracks["web"].topics)
        await simulation.next_week(weeks)
        posts = simulation.posts(simulation.news)
        assert [post.id for post in posts if post.pinned] == [posts[-1].id]
        assert len(simulation.bodies("/crosspost")) == weeks
        assert [thread.name for thread in simulation.news.threads] == [
            f"This week: {library.topics[slug].title}" for slug in library.tracks["web"].topics
        ]


@pytest.mark.parametrize("is_forum", [False, True])
async def test_no_request_is_sent_during_the_servers_outage(place: Place, flask: Topic, is_forum: bool) -> None:
    channel = place.guild.add_forum("showcase") if is_forum else place.guild.add_text_channel("weekly")
    await place.knows(channel)
    delivery, known = place.delivery(channel), place.client.get_guild(place.guild.id)
    place.guild.go_down()
    await place.client.until(lambda: known and known.unavailable)
    before = len(place.server.requests)
    with pytest.raises(RetryableError, match="outage"):
        await place.sender.send(delivery, flask)
    with pytest.raises(RetryableError, match="outage"):
        await found(place, delivery)
    assert len(place.server.requests) == before
    place.guild.come_back()
    await place.client.until(lambda: known and not known.unavailable)
    assert await found(place, delivery) is None
    assert await place.sender.send(delivery, flask)


async def test_an_archived_threads_history_is_readable_if_its_channels_is(place: Place, flask: Topic) -> None:
    channel = await place.text()
    thread = Thread.open(channel, place.guild.owner.user, place.server.world.snowflakes.next(), {"name": "weekly"})
    thread.publish()
    await place.client.until(lambda: place.client.get_channel(thread.id))
    delivery = place.delivery(thread)
    sent = await place.sender.send(delivery, flask)
    thread.edit({"archived": True})
    await place.client.until(lambda: place.client.get_channel(thread.id) is None)
    assert await found(place, delivery) == sent


async def test_a_question_is_not_repeated_if_the_history_is_unreadable(place: Place, flask: Topic) -> None:
    channel = await place.text()
    delivery = place.delivery(channel)
    delivery = posted(delivery, await place.sender.send(delivery, flask))
    await place.sender.follow_up(StepName.THREAD, delivery, flask)
    channel.forbid(Permission.READ_MESSAGE_HISTORY)
    known = place.client.get_channel(channel.id)
    assert isinstance(known, discord.abc.GuildChannel)
    await place.client.until(lambda: not known.permissions_for(known.guild.me).read_message_history)
    place.clock.move(hours=1)
    await place.sender.follow_up(StepName.THREAD, delivery, flask)
    [thread] = place.guild.threads.values()
    assert len(place.posts(thread)) == 1
