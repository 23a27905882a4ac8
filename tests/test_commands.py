"""Every command, button and select menu in a simulated Discord."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import discord
import pytest
import simcord
from simcord import ChannelHandle

from discord_server.component import walk
from fakes import FakeClock
from simulation import Answer, Simulation, components_of, simulated, text_of
from weekbot.bot.cards import topic_cards, topic_lists
from weekbot.bot.responses import is_undeliverable
from weekbot.content.library import Library
from weekbot.delivery.manual import MAX_POSTS
from weekbot.i18n.language import ENGLISH

MANAGE_SERVER_NEEDED = "You need the **Manage Server** permission for this."


@pytest.fixture
async def simulation(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, clock) as simulation:
        yield simulation


def assert_private_reply(answer: Answer, *parts: str) -> None:
    """Check for a private response that contains these parts, with no button but Preview."""
    assert answer.private
    assert answer.labels in ([], ["Preview"])
    assert "Traceback" not in answer.text
    for part in parts:
        assert part in answer.text


def channel_without(simulation: Simulation, **permissions: bool) -> ChannelHandle:
    """Create a channel in which the bot has these permissions overwritten."""
    user = simulation.env.bot.user
    assert user
    return simulation.guild.create_text_channel("locked", overwrites={user: discord.PermissionOverwrite(**permissions)})


async def thread_in(simulation: Simulation, kind: discord.ChannelType) -> ChannelHandle:
    """Create a thread in the other channel."""
    await simulation.bot_channel(simulation.other).create_thread(name="corner", type=kind)
    return simulation.other.threads[-1]


def titles(simulation: Simulation, channel: ChannelHandle | None = None) -> list[str]:
    """Return the titles posted in the channel, in order."""
    texts = "\n".join(text_of(post) for post in simulation.posts(channel))
    return re.findall(r"^(?:## )?This week: (.+)$", texts, re.MULTILINE)


# Lookups


async def test_a_framework_is_found_in_any_spelling(simulation: Simulation) -> None:
    for name in ("Flask", "flask", "FLASK", " f l a s k ", "fla-sk"):
        answer = await simulation.slash("framework", name=name, by=simulation.member)
        assert "## Flask\n" in answer.text
        assert not answer.private


async def test_every_alias_finds_its_topic(simulation: Simulation, library: Library) -> None:
    for topic in library.topics.values():
        for alias in topic.aliases[:1]:
            assert f"## {topic.title}\n" in (await simulation.slash("framework", name=alias)).text


async def test_a_lookup_can_be_private(simulation: Simulation) -> None:
    assert (await simulation.slash("framework", name="flask", private=True)).private


async def test_a_single_section_can_be_shown(simulation: Simulation, library: Library) -> None:
    answer = await simulation.slash("framework", name="flask", section="quiz")
    assert "## Flask: Quiz" in answer.text
    assert library.topics["flask"].body.quiz.question in answer.text
    assert library.topics["flask"].summary not in answer.text


async def test_a_section_that_a_concept_lacks_is_reported_with_its_sections(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="what is a framework", section="first_steps")
    assert_private_reply(answer, "doesn't have that section", "Why it matters", "Quiz")


async def test_a_misspelt_name_gets_a_private_response_with_working_buttons(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="djnago", by=simulation.member)
    assert answer.private
    assert "Django" in answer.labels
    pressed = await simulation.click(answer, label="Django")
    assert pressed.private
    assert "## Django\n" in pressed.text


async def test_an_unknown_name_points_to_the_list(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="qqqqqqqqqq")
    assert answer.private
    assert answer.labels == []
    assert "/topic list" in answer.text


HOSTILE = ["@everyone", "<@&1>", "' OR 1=1 --", "../../etc/passwd", "\u202e\u0000", "**" * 500, "x" * 6000, "🦄", " "]


@pytest.mark.parametrize("command", ["framework", "topic show", "weekly next", "compare"])
async def test_hostile_input_gets_a_private_response_and_pings_nobody(simulation: Simulation, command: str) -> None:
    option = "topic" if command == "weekly next" else "name"
    for name in HOSTILE:
        options: dict[str, Any] = {"first": name, "second": name} if command == "compare" else {option: name}
        answer = await simulation.slash(command, **options)
        assert answer.private
        assert len(answer.text) < 400
        path = f"/webhooks/{simulation.app.client.application_id}/" if command.startswith("weekly") else "/callback"
        [*_, body] = [each.json for each in simulation.env.http_requests if path in each.path]
        assert body
        assert body.get("data", body)["allowed_mentions"] == {"parse": []}


async def test_a_lookup_links_to_its_sections_and_related_topics(simulation: Simulation, library: Library) -> None:
    lookup = await simulation.slash("framework", name="flask")
    for name, heading in topic_cards.section_names(ENGLISH, library.topics["flask"]).items():
        section = await simulation.choose(lookup, name)
        assert section.private
        assert f"## Flask: {heading}" in section.text
    for related in library.related(library.topics["flask"]):
        assert f"## {related.title}\n" in (await simulation.click(lookup, label=related.title)).text


async def test_a_comparison_has_a_button_for_each_topic(simulation: Simulation) -> None:
    answer = await simulation.slash("compare", first="flask framework", second="DJANGO")
    assert not answer.private
    assert "## Flask or Django" in answer.text
    assert answer.labels == ["Flask", "Django"]
    assert "## Django\n" in (await simulation.click(answer, label="Django")).text


async def test_a_comparison_requires_two_different_existing_topics(simulation: Simulation) -> None:
    assert_private_reply(
        await simulation.slash("compare", first="flask", second="Pallets Flask"), "Choose two different topics"
    )
    assert_private_reply(await simulation.slash("compare", first="djnago", second="flask"), "Did you mean `django`, ")


async def test_a_lookup_shows_when_the_topic_was_posted_in_this_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    assert "Posted in this channel" not in (await simulation.slash("framework", name="flask")).text
    await simulation.next_week()
    [post] = simulation.posts()
    lookup = await simulation.slash("framework", name="flask")
    assert f"Posted in this channel <t:{int(post.created_at.timestamp())}:R>." in lookup.text
    assert post.jump_url in [each["url"] for each in walk(lookup.components) if each.get("label") == "Posted here"]
    assert "Posted in this channel" not in (await simulation.slash("framework", name="django")).text
    assert "Posted in this channel" not in (await simulation.slash("framework", name="flask", at=simulation.other)).text


# Autocomplete


COMPLETED = [
    ("framework", "name", "fla", "flask"),
    ("framework", "name", "api star", "apistar"),
    ("framework", "name", "djnago", "django"),
    ("compare", "first", "fla", "flask"),
    ("compare", "second", "djang", "django"),
    ("topic show", "name", "num", "numpy"),
    ("weekly next", "topic", "scra", "scrapy"),
    ("weekly subscribe", "start", "pyr", "pyramid"),
    ("weekly subscribe", "track", "web", "web"),
    ("topic list", "track", "beyond", "beyond-web"),
    ("weekly subscribe", "timezone", "berl", "Europe/Berlin"),
    ("weekly settings", "timezone", "new y", "America/New_York"),
]


async def test_autocomplete_offers_the_best_match_first(simulation: Simulation) -> None:
    for command, option, typed, first in COMPLETED:
        assert (await simulation.choices(command, option, typed))[0] == first


async def test_autocomplete_has_suggestions_for_empty_input(simulation: Simulation) -> None:
    for command, option in {(command, option) for command, option, _, _ in COMPLETED}:
        assert 1 < len(await simulation.choices(command, option, "")) <= 25


async def test_autocomplete_accepts_any_input(simulation: Simulation) -> None:
    for command, option in [("framework", "name"), ("topic list", "track"), ("weekly settings", "timezone")]:
        for typed in HOSTILE:
            assert len(await simulation.choices(command, option, typed)) <= 25


# /topic and /help


async def test_a_channel_without_a_weekly_topic_points_to_subscribe(simulation: Simulation) -> None:
    assert_private_reply(await simulation.slash("topic current", by=simulation.member), "/weekly subscribe")


async def test_the_current_topic_is_the_next_one_before_the_first_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    answer = await simulation.slash("topic current", by=simulation.member)
    slot = (await simulation.subscription()).next_slot.instant
    assert "Flask" in answer.text
    assert f"<t:{int(slot.timestamp())}:R>" in answer.text


async def test_the_current_topic_links_to_the_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    await simulation.next_week()
    answer = await simulation.slash("topic current", by=simulation.member)
    assert not answer.private
    assert f"[Flask]({simulation.posts()[0].jump_url})" in answer.text


async def test_the_list_is_paged_in_place(simulation: Simulation) -> None:
    first = await simulation.slash("topic list", by=simulation.member)
    assert first.private
    assert "1. **How to use these weeks**" in first.text
    await simulation.click(first, label="Next")
    assert f"{topic_lists.PAGE_SIZE + 1}. **" in first.text
    assert "1. **How" not in first.text
    await simulation.click(first, label="Previous")
    assert "1. **How to use these weeks**" in first.text


async def test_a_track_can_be_listed_by_its_name_or_its_title(simulation: Simulation) -> None:
    for name in ("web", "Web frameworks"):
        answer = await simulation.slash("topic list", track=name)
        assert answer.text.count("\n") == topic_lists.PAGE_SIZE + 2
        assert "Flask" in answer.text
    assert_private_reply(await simulation.slash("topic list", track="no such"), "no track", "`web`", "`everything`")


async def test_a_topic_is_shown_and_a_misspelt_one_gets_suggestions(simulation: Simulation) -> None:
    assert "## NumPy\n" in (await simulation.slash("topic show", name="numpy")).text
    assert "NumPy" in (await simulation.slash("topic show", name="numpi")).labels


async def test_a_random_topic_is_in_the_library(simulation: Simulation, library: Library) -> None:
    answer = await simulation.slash("topic random")
    assert answer.text.splitlines()[0].removeprefix("## ") in {topic.title for topic in library.topics.values()}


async def test_help_shows_moderators_more(simulation: Simulation) -> None:
    members, moderators = await simulation.slash("help", by=simulation.member), await simulation.slash("help")
    assert members.private
    assert "/framework" in members.text
    assert "/weekly" not in members.text
    assert members.text in moderators.text
    assert "/weekly subscribe" in moderators.text


async def test_help_names_only_existing_commands(simulation: Simulation) -> None:
    text = (await simulation.slash("help")).text
    named = set(re.findall(r"`/([a-z ]+)`", text))
    existing = {command.qualified_name for command in simulation.app.registration.tree.walk_commands()}
    assert {"framework", "weekly subscribe", "weekly status"} <= named <= existing


async def test_help_fits_one_screen(simulation: Simulation) -> None:
    assert len((await simulation.slash("help")).text.splitlines()) <= 14


# Subscribing

WEDNESDAY = int(datetime(2026, 11, 25, 7, 5, tzinfo=ZoneInfo("America/New_York")).timestamp())


@pytest.mark.parametrize("kind", ["text", "news", "forum", "thread"])
async def test_each_kind_of_channel_can_be_subscribed_and_gets_its_post(simulation: Simulation, kind: str) -> None:
    is_thread = kind == "thread"
    channel = await thread_in(simulation, discord.ChannelType.public_thread) if is_thread else getattr(simulation, kind)
    answer = await simulation.slash("weekly subscribe", channel=channel)
    assert_private_reply(answer, channel.mention, "Monday 09:00 (UTC)", "`everything`", "**How to use these weeks**")
    await simulation.next_week()
    assert titles(simulation, channel) == ["How to use these weeks"]


async def test_a_subscribed_thread_is_stored_with_its_parent_channel(simulation: Simulation) -> None:
    thread = await thread_in(simulation, discord.ChannelType.public_thread)
    for channel, parent_id in [(thread, simulation.other.id), (simulation.text, None)]:
        await simulation.slash("weekly subscribe", channel=channel)
        assert (await simulation.subscription(channel)).parent_id == parent_id


async def test_the_current_channel_is_subscribed_by_default(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", at=simulation.other)
    assert (await simulation.subscription(simulation.other)).active
    assert await simulation.app.repositories.subscriptions.of_channel(simulation.text.id) is None


async def test_every_option_is_applied(simulation: Simulation) -> None:
    answer = await simulation.slash(
        "weekly subscribe",
        channel=simulation.news,
        track="Web frameworks",
        day=2,
        time=" 7:05 ",
        timezone="america/new york",
        ping=simulation.learners,
        thread=True,
        pin=True,
        publish=True,
        start="Sanic",
    )
    assert_private_reply(answer, "Wednesday 07:05 (America/New_York)", "`web`", "**Sanic**", f"<t:{WEDNESDAY}:F>")
    await simulation.next_week()
    [post] = simulation.posts(simulation.news)
    assert post.content == simulation.learners.mention
    assert [embed.title for embed in post.embeds] == ["This week: Sanic"]
    assert post.pinned
    assert len(simulation.bodies("/crosspost")) == 1
    assert len(simulation.news.threads) == 1
    assert titles(simulation, simulation.news) == ["Sanic"]


CHANGES: list[tuple[str, str, Any]] = [
    ("track", "track", "web"),
    ("day", "weekday", 4),
    ("time", "at", "18:30"),
    ("timezone", "timezone", "Asia/Tokyo"),
    ("thread", "thread", False),
    ("pin", "pin", False),
    ("start", "start_topic", "django"),
]


async def test_subscribing_again_changes_only_the_given_option(simulation: Simulation) -> None:
    first: dict[str, Any] = {
        "track": "everything",
        "day": 1,
        "time": "08:15",
        "timezone": "Europe/Rome",
        "thread": True,
        "pin": True,
    }
    await simulation.slash("weekly subscribe", **first, ping=simulation.learners, start="flask")
    for option, name, value in CHANGES:
        before = (await simulation.subscription()).options
        assert_private_reply(await simulation.slash("weekly subscribe", **{option: value}), "Changed. ")
        after = (await simulation.subscription()).options
        assert {field for field in vars(before) if getattr(before, field) != getattr(after, field)} == {name}


INVALID: list[tuple[dict[str, Any], list[str]]] = [
    ({"time": "25:99"}, ["`25:99` isn't a valid time", "`09:00`"]),
    ({"time": "nine"}, ["isn't a valid time", "`18:30`"]),
    ({"time": "09:00:00"}, ["isn't a valid time"]),
    ({"timezone": "Mars/Olympus"}, ["I don't know that time zone", "such as `Europe/Berlin`"]),
    ({"timezone": "berl"}, ["I don't know that time zone", "`Europe/Berlin`"]),
    ({"track": "knitting"}, ["no track `knitting`", "`web`", "`everything`"]),
    ({"start": "djnago"}, ["no topic called `djnago`", "Did you mean `django`, "]),
    ({"start": "qqqqqqqq"}, ["no topic called `qqqqqqqq`", "`/topic list`"]),
    ({"track": "beyond-web", "start": "flask"}, ["`flask` isn't in the track", "`/topic list` shows which topics are"]),
    ({"publish": True}, ["announcement channel", "Leave that option out"]),
]


async def test_an_invalid_option_is_explained_with_valid_values(simulation: Simulation) -> None:
    for options, parts in INVALID:
        assert_private_reply(await simulation.slash("weekly subscribe", **options), *parts)
    assert await simulation.app.repositories.subscriptions.of_channel(simulation.text.id) is None


async def test_a_forum_supports_neither_threads_nor_pins(simulation: Simulation) -> None:
    for option in ("thread", "pin"):
        options: dict[str, Any] = {option: True}
        answer = await simulation.slash("weekly subscribe", channel=simulation.forum, **options)
        assert_private_reply(answer, "Leave that option out")


async def test_a_private_thread_cannot_be_subscribed(simulation: Simulation) -> None:
    thread = await thread_in(simulation, discord.ChannelType.private_thread)
    await simulation.bot_channel(thread).add_user(discord.Object(simulation.moderator.id))
    assert_private_reply(
        await simulation.slash("weekly subscribe", channel=thread), "cannot post there", "public thread"
    )


PERMISSIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("send_messages", "Send Messages", {}),
    ("read_message_history", "Read Message History", {}),
    ("create_public_threads", "Create Public Threads", {"thread": True}),
    ("send_messages_in_threads", "Send Messages in Threads", {"thread": True}),
    ("pin_messages", "Pin Messages", {"pin": True}),
]


async def test_a_missing_permission_is_named(simulation: Simulation) -> None:
    for permission, name, options in PERMISSIONS:
        channel = channel_without(simulation, **{permission: False})
        answer = await simulation.slash("weekly subscribe", channel=channel, **options)
        assert_private_reply(answer, f"I need {name} in {channel.mention}")


async def test_publishing_requires_embed_links(simulation: Simulation) -> None:
    await allow(simulation, simulation.news, embed_links=False)
    await simulation.slash("weekly subscribe", channel=simulation.news)
    answer = await simulation.slash("weekly subscribe", channel=simulation.news, publish=True)
    assert_private_reply(answer, f"I need Embed Links in {simulation.news.mention}")


async def test_an_invisible_channel_is_reported(simulation: Simulation) -> None:
    answer = await simulation.slash("weekly subscribe", channel=channel_without(simulation, view_channel=False))
    assert answer.private
    assert "see" in answer.text or "View Channel" in answer.text
    assert "Something went wrong" not in answer.text
    assert all(isinstance(error, discord.app_commands.TransformerError) for error in simulation.env.errors)


async def test_only_roles_that_may_be_pinged_are_accepted(simulation: Simulation) -> None:
    channel = channel_without(simulation, mention_everyone=False)
    answer = await simulation.slash("weekly subscribe", channel=channel, ping=simulation.staff)
    assert_private_reply(answer, f"I'm not allowed to ping {simulation.staff.mention}", "@mention this role")
    answer = await simulation.slash("weekly subscribe", ping=simulation.guild.default_role)
    assert_private_reply(answer, "don't ping everyone")
    answer = await simulation.slash("weekly subscribe", channel=channel, ping=simulation.learners)
    assert_private_reply(answer, "gets a topic each week")


async def test_a_post_pings_only_the_chosen_role(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", ping=simulation.learners)
    await simulation.slash("weekly subscribe", at=simulation.other)
    await simulation.next_week()
    mentions = {path: body["allowed_mentions"] for path, body in simulation.posted("/messages")}
    assert mentions == {
        f"/channels/{simulation.text.id}/messages": {"parse": [], "roles": [str(simulation.learners.id)]},
        f"/channels/{simulation.other.id}/messages": {"parse": []},
    }


# Managing a subscription

NEEDS_SUBSCRIPTION: list[tuple[str, dict[str, Any]]] = [
    ("weekly unsubscribe", {}),
    ("weekly preview", {}),
    ("weekly pause", {}),
    ("weekly resume", {}),
    ("weekly skip", {}),
    ("weekly reset", {"option": "next"}),
    ("weekly post", {}),
    ("weekly next", {"topic": "flask"}),
]
EVERY_WEEKLY_COMMAND: list[tuple[str, dict[str, Any]]] = [
    *NEEDS_SUBSCRIPTION,
    ("weekly subscribe", {}),
    ("weekly status", {}),
    ("weekly settings", {}),
]


async def test_commands_in_an_unsubscribed_channel_point_to_subscribe(simulation: Simulation) -> None:
    for command, options in NEEDS_SUBSCRIPTION:
        assert_private_reply(await simulation.slash(command, **options), "no weekly topic", "`/weekly subscribe`")
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly unsubscribe")
    for command, options in NEEDS_SUBSCRIPTION:
        assert_private_reply(await simulation.slash(command, **options), "no weekly topic", "`/weekly subscribe`")


async def test_an_unsubscribed_channel_gets_no_more_posts(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    assert_private_reply(await simulation.slash("weekly unsubscribe"), "gets no more weekly topics")
    simulation.clock.move(weeks=1)
    await simulation.deliver()
    assert simulation.posts() == []


@pytest.mark.parametrize("publish", [False, True])
async def test_a_preview_is_private_and_equal_to_the_post(simulation: Simulation, publish: bool) -> None:
    channel = simulation.news
    await simulation.slash(
        "weekly subscribe", at=channel, ping=simulation.learners, start="flask", thread=True, publish=publish
    )
    preview = await simulation.slash("weekly preview", at=channel)
    assert preview.private
    assert simulation.posts(channel) == []
    await simulation.next_week()
    [post] = simulation.posts(channel)
    assert preview.text == text_of(post)
    assert len(components_of(post)) == len(preview.components)
    assert len(post.embeds) == len(preview.message.embeds) == publish


async def test_a_preview_in_the_home_channel_is_an_embed_like_its_posts(simulation: Simulation) -> None:
    await simulation.restart(home_channel_id=simulation.news.id)
    await simulation.slash("weekly subscribe", at=simulation.news, start="flask")
    assert (await simulation.slash("weekly preview", at=simulation.news)).message.embeds
    await simulation.next_week()
    [post] = simulation.posts(simulation.news)
    assert post.embeds


@pytest.mark.parametrize("publish", [False, True])
async def test_the_buttons_of_a_post_and_its_preview_work(simulation: Simulation, publish: bool) -> None:
    channel = simulation.news
    await simulation.slash("weekly subscribe", at=channel, start="flask", publish=publish)
    preview = await simulation.slash("weekly preview", at=channel)
    assert "## Flask\n" in (await simulation.click(preview, by=simulation.moderator, label="More")).text
    await simulation.next_week()
    [post] = simulation.posts(channel)
    for label, answer in {"I finished it": "Flask", "Quiz me": "Flask", "More": "## Flask\n"}.items():
        assert answer in (await simulation.click(post, label=label)).text


async def test_a_paused_channel_gets_nothing_and_loses_no_topic(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    assert_private_reply(await simulation.slash("weekly pause"), "is paused", "**Flask**")
    simulation.clock.move(weeks=3)
    await simulation.deliver()
    assert simulation.posts() == []
    assert_private_reply(await simulation.slash("weekly resume"), "Next in", "**Flask**")
    assert_private_reply(await simulation.slash("weekly resume"), "isn't paused", "**Flask**")
    await simulation.next_week()
    assert titles(simulation) == ["Flask"]


async def test_the_next_topic_is_posted_after_a_skip(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    assert_private_reply(await simulation.slash("weekly skip"), "Skipped **Flask**", "**Django**")
    await simulation.next_week()
    assert titles(simulation) == ["Django"]


async def test_a_manual_post_is_immediate_and_does_not_move_the_weekly_one(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    slot = (await simulation.subscription()).next_slot
    answer = await simulation.slash("weekly post")
    [post] = simulation.posts()
    assert_private_reply(answer, f"Posted [Flask]({post.jump_url})")
    assert (await simulation.subscription()).next_slot == slot
    await simulation.next_week()
    assert titles(simulation) == ["Flask", "Django"]


async def test_a_manual_post_is_pinned_and_gets_its_thread_immediately(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", pin=True, thread=True)
    await simulation.slash("weekly post")
    assert simulation.posts()[0].pinned
    assert len(simulation.text.threads) == 1


async def test_a_refused_manual_post_shows_the_reason(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
    assert_private_reply(
        await simulation.slash("weekly post"), "**How to use these weeks** was not posted", "permission"
    )


async def test_a_manual_post_is_retried_after_a_discord_error(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    assert_private_reply(await simulation.slash("weekly post"), "I couldn't post", "keep trying")
    assert_private_reply(await simulation.slash("weekly post"), "I couldn't post", "keep trying")
    simulation.clock.move(minutes=2)
    assert_private_reply(await simulation.slash("weekly post"), "on its way", "`/weekly status`")
    assert "On its way" in (await simulation.slash("weekly status")).text
    await simulation.deliver()
    assert titles(simulation) == ["How to use these weeks"]


async def test_the_next_topic_can_be_chosen(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    assert_private_reply(await simulation.slash("weekly next", topic="robot framework"), "**Robot Framework**")
    await simulation.next_week(2)
    assert titles(simulation) == ["Robot Framework", "Flask"]


# Status


async def status(simulation: Simulation, at: ChannelHandle | None = None) -> str:
    answer = await simulation.slash("weekly status", at=at or simulation.text)
    assert answer.private
    return answer.text


async def test_status_points_to_subscribe(simulation: Simulation) -> None:
    assert "`/weekly subscribe`" in await status(simulation)


async def test_status_shows_the_next_topic_and_links_to_the_last_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.next_week()
    slot = int((await simulation.subscription()).next_slot.instant.timestamp())
    text = await status(simulation)
    assert simulation.text.mention in text
    assert f"Next: **Django**, <t:{slot}:f> (<t:{slot}:R>)" in text
    assert f"Last: [Flask]({simulation.posts()[0].jump_url})" in text


async def test_status_names_a_missing_permission(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", pin=True)
    channel = simulation.bot_channel(simulation.text)
    await channel.set_permissions(channel.guild.me, pin_messages=False)
    text = await status(simulation)
    assert "Pin Messages" in text
    assert "Send Messages" not in text


async def test_status_shows_a_deleted_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", at=simulation.other)
    await simulation.bot_channel(simulation.other).delete()
    assert "the channel is gone" in await status(simulation)


async def test_status_shows_a_pause(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly pause")
    assert "Paused. `/weekly resume` continues with **How to use these weeks**" in await status(simulation)


async def test_status_shows_why_a_channel_is_blocked_until_a_post_succeeds(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50001)
    await simulation.next_week()
    assert "Blocked: weekbot cannot see the channel" in await status(simulation)
    assert "Next: **How to use these weeks**" in await status(simulation)
    await simulation.next_week()
    assert "Blocked" not in await status(simulation)
    assert titles(simulation) == ["How to use these weeks"]


async def test_status_of_a_blocked_channel_names_permissions_and_whether_one_is_still_missing(
    simulation: Simulation,
) -> None:
    await simulation.slash("weekly subscribe", pin=True)
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50013, message="Missing Permissions")
    await simulation.next_week()
    needs = "View Channel, Read Message History, Send Messages and Pin Messages"
    assert f"Blocked: weekbot was missing one of {needs}. Everything seems to be fine now" in await status(simulation)

    await allow(simulation, simulation.text, pin_messages=False)
    text = await status(simulation)
    assert "Blocked: weekbot is missing Pin Messages." in text
    assert "names it" not in text


async def test_status_shows_a_missed_post_whose_topic_is_still_next(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.clock.move(hours=30)
    await simulation.deliver()
    text = await status(simulation)
    assert "Missed" in text
    assert "**How to use these weeks**, still to be posted (weekbot was not running)" in text


async def test_status_shows_an_unverified_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    await simulation.slash("weekly post")
    channel = simulation.bot_channel(simulation.text)
    await channel.set_permissions(channel.guild.me, read_message_history=False)
    simulation.clock.move(minutes=5)
    await simulation.deliver()
    text = await status(simulation)
    assert "Unverified" in text
    assert "**Flask** may have been posted" in text
    assert simulation.posts() == []


async def test_status_shows_why_a_post_was_not_pinned(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", pin=True)
    simulation.env.inject_error("PUT", "/channels/*/pins/*", status=400, code=30003, message="Maximum number of pins")
    await simulation.next_week()
    text = await status(simulation)
    assert "1 channel · ⚠️ 1 with problems" in text
    assert "the channel has as many pins as Discord allows" in text
    assert len(simulation.posts()) == 1


async def test_status_shows_that_a_thread_is_delayed_by_the_limit_on_active_threads(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", thread=True)
    simulation.env.inject_error(
        "POST",
        "/channels/*/messages/*/threads",
        status=400,
        code=160006,
        message="Maximum number of active threads",
        times=8,
    )
    await simulation.next_week()
    text = await status(simulation)
    assert "1 channel · ⚠️ 1 with problems" in text
    assert "Maximum number of active threads" in text

    for _ in range(8):
        simulation.clock.move(minutes=2)
        await simulation.deliver()
    [thread] = simulation.text.threads
    assert thread.history()
    assert "✅ all good" in await status(simulation)


async def test_status_of_many_channels_begins_with_the_current_one(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(12)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    text = await status(simulation, at=channels[11])
    assert text.index(channels[11].mention) < text.index(channels[0].mention)
    assert text.count("Next: ") == 10
    assert "12 channels · ✅ all good" in text
    assert "1 to 10 of 12" in text


async def test_status_of_many_channels_is_paged(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(12)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    panel = await simulation.slash("weekly status", at=channels[0])
    await simulation.click(panel, by=simulation.moderator, label="Next")
    assert "11 to 12 of 12" in panel.text
    assert channels[11].mention in panel.text
    await simulation.click(panel, by=simulation.moderator, label="Previous")
    assert "1 to 10 of 12" in panel.text


async def open_panel(simulation: Simulation) -> Answer:
    """Open the panel of the only subscribed channel."""
    panel = await simulation.slash("weekly status")
    await simulation.click(panel, by=simulation.moderator, label="Manage")
    return panel


async def press(simulation: Simulation, panel: Answer, label: str) -> Answer:
    return await simulation.click(panel, by=simulation.moderator, label=label)


async def test_a_channel_is_managed_from_its_panel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    panel = await open_panel(simulation)
    assert panel.labels == ["Preview", "Post now", "Skip next topic", "Pause", "All channels", "Unsubscribe"]
    await press(simulation, panel, "Skip next topic")
    assert "Skipped **Flask**" in panel.text
    assert "Next: **Django**" in panel.text
    await press(simulation, panel, "Pause")
    assert "is paused; no topic is lost" in panel.text
    assert "Resume" in panel.labels
    assert "1 paused" in await status(simulation)
    await press(simulation, panel, "Resume")
    assert "Pause" in panel.labels
    assert not (await simulation.subscription()).paused
    await press(simulation, panel, "Post now")
    assert "Posted [Django]" in panel.text
    assert titles(simulation) == ["Django"]
    await press(simulation, panel, "Unsubscribe")
    assert "gets no more weekly topics" in panel.text
    assert panel.labels == ["All channels"]
    await press(simulation, panel, "All channels")
    assert "`/weekly subscribe`" in panel.text


async def test_the_subscribe_response_and_the_panel_have_a_preview_button(simulation: Simulation) -> None:
    subscribed = await simulation.slash("weekly subscribe", start="flask")
    for answer in (subscribed, await open_panel(simulation)):
        preview = await press(simulation, answer, "Preview")
        assert preview.private
        assert "## This week: Flask" in preview.text


async def test_a_deleted_channel_can_be_unsubscribed_from_the_panel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", channel=simulation.other)
    await simulation.bot_channel(simulation.other).delete()
    panel = await open_panel(simulation)
    assert "the channel is gone" in panel.text
    await press(simulation, panel, "Unsubscribe")
    assert "No channel has a weekly topic" in await status(simulation)


async def test_the_panel_works_after_a_restart_and_after_unsubscribing(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    panel = await open_panel(simulation)
    await simulation.restart()
    await press(simulation, panel, "Pause")
    assert "is paused" in panel.text
    await simulation.slash("weekly unsubscribe")
    assert_private_reply(await press(simulation, panel, "Resume"), "no weekly topic")


async def test_the_panels_buttons_are_only_for_moderators_of_its_server(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    for custom_id in (
        "weekbot:status:0",
        f"weekbot:manage:{simulation.text.id}",
        f"weekbot:do:post:{simulation.text.id}",
    ):
        view = discord.ui.LayoutView()
        view.add_item(discord.ui.ActionRow(discord.ui.Button(label="Forged", custom_id=custom_id)))
        message = await simulation.bot_channel(simulation.text).send(view=view)
        assert_private_reply(await simulation.click(message, by=simulation.member, label="Forged"), "**Manage Server**")
    elsewhere = simulation.env.create_guild("Elsewhere", shard_id=0)
    channel = elsewhere.create_text_channel("general")
    role = elsewhere.create_role("Mods", permissions=discord.Permissions(manage_guild=True))
    eve = elsewhere.add_member(simulation.env.create_user("eve"), roles=[role])
    message = await simulation.bot_channel(channel).send(view=view)
    assert_private_reply(await simulation.click(message, by=eve, label="Forged"), "no weekly topic")
    assert simulation.posts() == []


async def test_status_shows_nothing_about_other_servers(simulation: Simulation) -> None:
    elsewhere = simulation.env.create_guild("Elsewhere", shard_id=0)
    channel = elsewhere.create_text_channel("general")
    user = simulation.env.create_user("eve")
    role = elsewhere.create_role("Mods", permissions=discord.Permissions(manage_guild=True))
    eve = elsewhere.add_member(user, roles=[role])
    await simulation.slash("weekly subscribe")
    answer = await simulation.slash("weekly status", by=eve, at=channel)
    assert "No channel has a weekly topic yet" in answer.text


# Settings


async def test_the_servers_time_zone_reschedules_channels_without_their_own(simulation: Simulation) -> None:
    assert_private_reply(await simulation.slash("weekly settings"), "**UTC**")
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other, timezone="Asia/Tokyo")
    inherited, own = [(await simulation.subscription(each)).next_slot for each in (simulation.text, simulation.other)]
    assert_private_reply(await simulation.slash("weekly settings", timezone="europe/berlin"), "**Europe/Berlin**")
    assert (await simulation.subscription()).next_slot.instant == inherited.instant - timedelta(hours=1) + timedelta(
        weeks=1
    )
    assert (await simulation.subscription(simulation.other)).next_slot == own
    assert_private_reply(await simulation.slash("weekly settings", timezone="nowhere"), "I don't know that time zone")


async def test_notices_go_to_the_system_channel_unless_another_is_set(simulation: Simulation) -> None:
    await simulation.set_system_channel(simulation.news)
    assert_private_reply(await simulation.slash("weekly settings"), "in the system channel")
    assert_private_reply(
        await simulation.slash("weekly settings", notices=simulation.other), f"in {simulation.other.mention}"
    )
    assert_private_reply(await simulation.slash("weekly settings", timezone="Asia/Tokyo"), "**Asia/Tokyo**")
    assert_private_reply(await simulation.slash("weekly settings"), "**Asia/Tokyo**", f"in {simulation.other.mention}")


async def test_settings_and_status_explain_how_to_choose_a_notice_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    hint = "I have no channel where I can report problems to moderators"
    answer = await simulation.slash("weekly settings")
    assert_private_reply(answer, "**UTC**", "Choose a channel for notices with `/weekly settings`")
    assert hint in await status(simulation)

    await simulation.slash("weekly settings", notices=simulation.other)
    assert hint not in await status(simulation)

    await allow(simulation, simulation.other, send_messages=False)
    assert hint in await status(simulation)
    await simulation.set_system_channel(simulation.news)
    answer = await simulation.slash("weekly settings")
    assert_private_reply(answer, f"in the system channel, because I can't write in {simulation.other.mention}")
    assert hint not in await status(simulation)


async def test_a_notice_channel_without_permissions_is_rejected(simulation: Simulation) -> None:
    await simulation.set_system_channel(simulation.news)
    channel = channel_without(simulation, send_messages=False)
    answer = await simulation.slash("weekly settings", notices=channel, timezone="Asia/Tokyo")
    assert_private_reply(
        answer, f"I'm not allowed to write in {channel.mention}", "View Channel and Send Messages", "try again"
    )
    assert_private_reply(await simulation.slash("weekly settings"), "**UTC**", "in the system channel")


# Problems and notices


async def allow(simulation: Simulation, channel: ChannelHandle, **permissions: bool | None) -> None:
    """Change the bot's permissions in a channel."""
    known = simulation.bot_channel(channel)
    await known.set_permissions(known.guild.me, **permissions)
    await asyncio.sleep(0)  # discord.py dispatches the event in its own task


async def check_and_deliver(simulation: Simulation, before_slot: timedelta) -> None:
    """Run the preflight check and a tick at that time before the channel's next slot."""
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant - before_slot
    await simulation.app.preflight.run()
    await simulation.deliver()


DAY, HOUR, AT_SLOT = timedelta(days=1), timedelta(hours=1), timedelta()


def notices_in(channel: ChannelHandle) -> list[str]:
    return [message.content for message in channel.history()]


async def test_a_problem_is_reported_once_and_the_channel_recovers_by_itself(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", track="web")
    await allow(simulation, simulation.text, send_messages=False)
    slot = int((await simulation.subscription()).next_slot.instant.timestamp())
    await check_and_deliver(simulation, DAY + timedelta(minutes=1))
    assert notices_in(simulation.other) == []

    await check_and_deliver(simulation, DAY)
    [warning] = notices_in(simulation.other)
    beginning = f"problem with the next weekly topic in {simulation.text.mention}, due <t:{slot}:R>"
    assert f"{beginning}: weekbot is missing Send Messages." in warning
    assert "Send Messages" in await status(simulation)
    await check_and_deliver(simulation, HOUR)
    assert notices_in(simulation.other) == [warning]

    await check_and_deliver(simulation, AT_SLOT)
    [_, blocked] = notices_in(simulation.other)
    assert f"couldn't post the weekly topic in {simulation.text.mention}: weekbot lacks a permission here" in blocked
    assert "Blocked: weekbot is missing Send Messages." in await status(simulation)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await check_and_deliver(simulation, before_slot)
    assert notices_in(simulation.other) == [warning, blocked]
    assert (
        simulation.bodies(f"/channels/{simulation.text.id}/messages") == []
    )  # posts that would be refused are not sent

    await allow(simulation, simulation.text, send_messages=None)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await check_and_deliver(simulation, before_slot)
    assert titles(simulation) == ["Flask"]
    assert notices_in(simulation.other) == [warning, blocked]
    text = await status(simulation)
    assert "✅ all good" in text
    assert "Blocked" not in text


async def test_manual_posts_are_limited_per_server_and_minute(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(MAX_POSTS + 1)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    *posted, refused = [await simulation.slash("weekly post", at=channel) for channel in channels]
    assert all("Posted [" in answer.text for answer in posted)
    assert refused.private
    assert "Wait a minute" in refused.text
    assert sum(len(simulation.posts(channel)) for channel in channels) == MAX_POSTS


async def test_subscriptions_are_limited_per_server(simulation: Simulation) -> None:
    await simulation.restart(subscriptions_per_server=2)
    for channel in (simulation.text, simulation.other):
        assert "gets a topic each week" in (await simulation.slash("weekly subscribe", at=channel)).text
    refused = await simulation.slash("weekly subscribe", at=simulation.news)
    assert "This server has reached its limit of weekly topics." in refused.text
    assert "Changed." in (await simulation.slash("weekly subscribe", at=simulation.text, day=3)).text
    await simulation.slash("weekly unsubscribe", at=simulation.text)
    assert "gets a topic each week" in (await simulation.slash("weekly subscribe", at=simulation.news)).text


async def block_at_the_slot(simulation: Simulation) -> None:
    """Subscribe with Django next, and let Discord refuse the post at the slot."""
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly next", topic="django")
    await allow(simulation, simulation.text, send_messages=False)
    await check_and_deliver(simulation, AT_SLOT)
    await simulation.app.reopening.run()  # ignores the change from before the slot
    await simulation.deliver()
    assert titles(simulation) == []


async def reopen(simulation: Simulation, **later: float) -> bool:
    """Run the next tick, and return whether a post was reopened."""
    simulation.clock.move(**later)
    reopened = await simulation.app.reopening.run()
    await simulation.deliver()
    return reopened


async def test_a_refused_post_is_sent_in_the_same_week_if_the_permission_is_restored(
    simulation: Simulation,
) -> None:
    await block_at_the_slot(simulation)
    assert not await reopen(simulation, minutes=1)
    await allow(simulation, simulation.text, send_messages=None)
    assert await reopen(simulation, minutes=1)
    assert titles(simulation) == ["Django"]
    assert "✅ all good" in await status(simulation)
    await simulation.next_week()
    assert titles(simulation) == ["Django", "Flask"]


async def test_a_refused_post_waits_for_the_next_week_if_the_change_is_too_late_or_unrelated(
    simulation: Simulation,
) -> None:
    await block_at_the_slot(simulation)
    await allow(simulation, simulation.text, send_messages=False, embed_links=False)
    assert not await reopen(simulation, minutes=1)
    await allow(simulation, simulation.text, send_messages=None)
    assert not await reopen(simulation, days=2)
    await simulation.next_week()
    assert titles(simulation) == ["Django"]


async def test_a_refused_post_is_not_retried_after_another_post(simulation: Simulation) -> None:
    await block_at_the_slot(simulation)
    await simulation.slash("weekly next", topic="flask")
    await allow(simulation, simulation.text, send_messages=None)
    assert not await reopen(simulation, minutes=1)
    await simulation.slash("weekly post")
    await allow(simulation, simulation.text, embed_links=False)
    assert not await reopen(simulation, minutes=1)
    assert titles(simulation) == ["Flask"]


async def test_a_recurring_problem_is_reported_again(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe")
    for _ in range(2):
        await allow(simulation, simulation.text, send_messages=False)
        for before_slot in (DAY, HOUR, AT_SLOT):
            await check_and_deliver(simulation, before_slot)
        await allow(simulation, simulation.text, send_messages=None)
        for before_slot in (DAY, HOUR, AT_SLOT):
            await check_and_deliver(simulation, before_slot)
    assert [text[0] for text in notices_in(simulation.other)] == ["⚠", "🚫", "⚠", "🚫"]
    assert len(simulation.posts()) == 2


async def test_a_problem_on_the_last_day_is_reported_an_hour_ahead(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", pin=True)
    await check_and_deliver(simulation, DAY)
    await allow(simulation, simulation.text, pin_messages=False)
    await check_and_deliver(simulation, HOUR + timedelta(minutes=1))
    assert notices_in(simulation.other) == []
    await check_and_deliver(simulation, HOUR)
    [warning] = notices_in(simulation.other)
    assert "weekbot is missing Pin Messages" in warning


async def test_notices_are_sent_to_the_system_channel_by_default(simulation: Simulation) -> None:
    await simulation.set_system_channel(simulation.other)
    await simulation.slash("weekly subscribe")
    await allow(simulation, simulation.text, send_messages=False)
    await check_and_deliver(simulation, AT_SLOT)
    [blocked] = notices_in(simulation.other)
    assert f"couldn't post the weekly topic in {simulation.text.mention}" in blocked


async def test_another_weekly_channel_gets_a_short_notice_without_a_notice_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other, day=5)
    await allow(simulation, simulation.text, send_messages=False)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await check_and_deliver(simulation, before_slot)
    warned, blocked = notices_in(simulation.other)
    assert "needs a moderator" in warned
    assert warned == blocked
    assert "Send Messages" not in warned
    assert simulation.text.mention not in warned


async def test_the_bot_continues_if_no_channel_can_get_a_notice(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other)
    await allow(simulation, simulation.text, send_messages=False)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await check_and_deliver(simulation, before_slot)
    assert "Blocked" in await status(simulation)
    assert titles(simulation, simulation.other) == ["How to use these weeks"]


# Permissions


async def test_discord_hides_weekly_commands_from_members_without_manage_server(simulation: Simulation) -> None:
    for command, options in EVERY_WEEKLY_COMMAND:
        with pytest.raises(simcord.SetupError, match="default-member-permissions"):
            await simulation.slash(command, by=simulation.member, **options)


async def test_the_bot_refuses_members_without_manage_server_if_discord_allows_them(
    simulation: Simulation,
) -> None:
    await simulation.slash("weekly subscribe")
    before = await simulation.subscription()
    root = next(each for each in await simulation.app.registration.tree.fetch_commands() if each.name == "weekly")
    simulation.guild.set_command_permissions(root, {simulation.member: True})
    for command, options in EVERY_WEEKLY_COMMAND:
        assert_private_reply(await simulation.slash(command, by=simulation.member, **options), MANAGE_SERVER_NEEDED)
    assert await simulation.subscription() == before
    assert simulation.posts() == []
    assert {type(error) for error in simulation.env.errors} == {discord.app_commands.MissingPermissions}


async def test_every_weekly_command_is_covered(simulation: Simulation) -> None:
    [weekly] = [each for each in simulation.app.registration.tree.get_commands() if each.name == "weekly"]
    assert isinstance(weekly, discord.app_commands.Group)
    assert {f"weekly {each.name}" for each in weekly.commands} == {command for command, _ in EVERY_WEEKLY_COMMAND}


# After a restart


async def test_old_messages_work_and_deliveries_continue_after_a_restart(
    simulation: Simulation, library: Library
) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.next_week()
    lookup = await simulation.slash("framework", name="flask")
    listed = await simulation.slash("topic list", by=simulation.member)
    near = await simulation.slash("framework", name="djnago", by=simulation.member)
    await simulation.restart()
    [post] = simulation.posts()
    assert "## Flask\n" in (await simulation.click(post, label="More")).text
    assert "## Flask: Quiz" in (await simulation.choose(lookup, "quiz")).text
    assert "## Django\n" in (await simulation.click(near, label="Django")).text
    await simulation.click(listed, label="Next")
    assert f"{topic_lists.PAGE_SIZE + 1}. **" in listed.text
    assert "Last: [Flask]" in await status(simulation)
    assert await simulation.choices("framework", "name", "fla")
    await simulation.deliver()
    await simulation.next_week()
    assert titles(simulation) == ["Flask", "Django"]


async def test_commands_are_not_registered_again_after_a_restart(simulation: Simulation) -> None:
    await simulation.restart()
    puts = [each for each in simulation.env.http_requests if each.method == "PUT" and each.path.endswith("/commands")]
    assert len(puts) == 1


async def test_an_unexpected_error_is_reported_with_the_logged_incident_id(
    simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    await simulation.slash("weekly subscribe")
    async with simulation.app.repositories.subscriptions._database.write() as connection:
        await connection.exec_driver_sql("DROP TABLE steps")
    answer = await simulation.slash("weekly status")
    assert_private_reply(answer, "Something went wrong on my side")
    [incident] = [word.strip("`;.") for word in answer.text.split() if word.startswith("`")]
    assert [record.incident for record in caplog.records if record.levelno == logging.ERROR] == [incident]  # type: ignore[attr-defined]
    assert len(simulation.env.errors) == 1


@pytest.mark.parametrize(
    ("status", "answer", "lost"),
    [
        (403, "<html>", True),
        (404, {"message": "404: Not Found", "code": 0}, True),
        (503, "upstream connect error", True),
        (404, {"message": "Unknown interaction", "code": 10062}, True),
        (400, {"message": "Invalid Form Body", "code": 50035}, False),
    ],
)
def test_a_response_refused_without_a_discord_code_is_undeliverable(
    status: int, answer: str | dict[str, Any], lost: bool
) -> None:
    response: Any = SimpleNamespace(status=status, reason="made to fail")
    assert is_undeliverable(discord.HTTPException(response, answer)) is lost


@pytest.mark.parametrize("data", [None, {}, "text", {"interaction": {}}], ids=str)
def test_an_unreadable_confirmation_is_undeliverable(data: Any) -> None:
    nothing: Any = None
    kind = discord.InteractionResponseType.channel_message
    with pytest.raises((TypeError, LookupError)) as raised:
        discord.InteractionCallbackResponse(data=data, parent=nothing, state=nothing, type=kind)
    assert is_undeliverable(raised.value)
    assert not is_undeliverable(TypeError("a bug in weekbot"))
