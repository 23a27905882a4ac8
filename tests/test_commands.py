"""Every command, button and select as people use them, in a simulated Discord."""

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


def assert_told(answer: Answer, *parts: str) -> None:
    """A private answer of one short text with these parts in it; after subscribing, with a button to see the post."""
    assert answer.private
    assert answer.labels in ([], ["Preview"])
    assert "Traceback" not in answer.text
    for part in parts:
        assert part in answer.text


def lacking(simulation: Simulation, **permissions: bool) -> ChannelHandle:
    """A channel in which the bot lacks permissions."""
    user = simulation.env.bot.user
    assert user
    return simulation.guild.create_text_channel("locked", overwrites={user: discord.PermissionOverwrite(**permissions)})


async def thread_in(simulation: Simulation, kind: discord.ChannelType) -> ChannelHandle:
    """A thread in the other channel."""
    await simulation.bot_channel(simulation.other).create_thread(name="corner", type=kind)
    return simulation.other.threads[-1]


def titles(simulation: Simulation, channel: ChannelHandle | None = None) -> list[str]:
    """The titles posted in the channel, in order."""
    texts = "\n".join(text_of(post) for post in simulation.posts(channel))
    return re.findall(r"^(?:## )?This week: (.+)$", texts, re.MULTILINE)


# Lookups


async def test_a_framework_is_found_however_it_is_written(simulation: Simulation) -> None:
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


async def test_a_section_alone_can_be_asked_for(simulation: Simulation, library: Library) -> None:
    answer = await simulation.slash("framework", name="flask", section="quiz")
    assert "## Flask: Quiz" in answer.text
    assert library.topics["flask"].body.quiz.question in answer.text
    assert library.topics["flask"].summary not in answer.text


async def test_a_section_that_a_concept_has_not_is_told_with_those_it_has(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="what is a framework", section="first_steps")
    assert_told(answer, "doesn't have that section", "Why it matters", "Quiz")


async def test_a_misspelt_name_is_answered_privately_with_buttons_that_work(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="djnago", by=simulation.member)
    assert answer.private
    assert "Django" in answer.labels
    pressed = await simulation.click(answer, label="Django")
    assert pressed.private
    assert "## Django\n" in pressed.text


async def test_a_name_like_no_other_points_to_the_list(simulation: Simulation) -> None:
    answer = await simulation.slash("framework", name="qqqqqqqqqq")
    assert answer.private
    assert answer.labels == []
    assert "/topic list" in answer.text


HOSTILE = ["@everyone", "<@&1>", "' OR 1=1 --", "../../etc/passwd", "\u202e\u0000", "**" * 500, "x" * 6000, "🦄", " "]


@pytest.mark.parametrize("command", ["framework", "topic show", "weekly next", "compare"])
async def test_hostile_input_is_answered_privately_and_pings_nobody(simulation: Simulation, command: str) -> None:
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


async def test_a_lookup_leads_to_its_sections_and_related_topics(simulation: Simulation, library: Library) -> None:
    lookup = await simulation.slash("framework", name="flask")
    for name, heading in topic_cards.section_names(ENGLISH, library.topics["flask"]).items():
        section = await simulation.choose(lookup, name)
        assert section.private
        assert f"## Flask: {heading}" in section.text
    for related in library.related(library.topics["flask"]):
        assert f"## {related.title}\n" in (await simulation.click(lookup, label=related.title)).text


async def test_two_topics_are_set_side_by_side_and_each_is_one_click_away(simulation: Simulation) -> None:
    answer = await simulation.slash("compare", first="flask framework", second="DJANGO")
    assert not answer.private
    assert "## Flask or Django" in answer.text
    assert answer.labels == ["Flask", "Django"]
    assert "## Django\n" in (await simulation.click(answer, label="Django")).text


async def test_a_comparison_wants_two_topics_that_there_are(simulation: Simulation) -> None:
    assert_told(await simulation.slash("compare", first="flask", second="Pallets Flask"), "Choose two different topics")
    assert_told(await simulation.slash("compare", first="djnago", second="flask"), "Did you mean `django`, ")


async def test_a_lookup_says_when_this_channel_had_the_topic(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    assert "Posted in this channel" not in (await simulation.slash("framework", name="flask")).text
    await simulation.next_week()
    [post] = simulation.posts()
    looked_up = await simulation.slash("framework", name="flask")
    assert f"Posted in this channel <t:{int(post.created_at.timestamp())}:R>." in looked_up.text
    assert post.jump_url in [each["url"] for each in walk(looked_up.components) if each.get("label") == "Posted here"]
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


async def test_autocomplete_offers_what_is_meant_first(simulation: Simulation) -> None:
    for command, option, typed, first in COMPLETED:
        assert (await simulation.choices(command, option, typed))[0] == first


async def test_autocomplete_offers_something_before_anything_is_typed(simulation: Simulation) -> None:
    for command, option in {(command, option) for command, option, _, _ in COMPLETED}:
        assert 1 < len(await simulation.choices(command, option, "")) <= 25


async def test_autocomplete_survives_whatever_is_typed(simulation: Simulation) -> None:
    for command, option in [("framework", "name"), ("topic list", "track"), ("weekly settings", "timezone")]:
        for typed in HOSTILE:
            assert len(await simulation.choices(command, option, typed)) <= 25


# /topic and /help


async def test_a_channel_without_a_weekly_topic_says_how_to_get_one(simulation: Simulation) -> None:
    assert_told(await simulation.slash("topic current", by=simulation.member), "/weekly subscribe")


async def test_before_the_first_post_the_coming_topic_is_named(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    answer = await simulation.slash("topic current", by=simulation.member)
    slot = (await simulation.subscription()).next_slot.instant
    assert "Flask" in answer.text
    assert f"<t:{int(slot.timestamp())}:R>" in answer.text


async def test_the_current_topic_links_the_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    await simulation.next_week()
    answer = await simulation.slash("topic current", by=simulation.member)
    assert not answer.private
    assert f"[Flask]({simulation.posts()[0].jump_url})" in answer.text


async def test_the_list_is_turned_in_place(simulation: Simulation) -> None:
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
    assert_told(await simulation.slash("topic list", track="no such"), "no track", "`web`", "`everything`")


async def test_a_topic_is_shown_and_a_misspelt_one_helped_with(simulation: Simulation) -> None:
    assert "## NumPy\n" in (await simulation.slash("topic show", name="numpy")).text
    assert "NumPy" in (await simulation.slash("topic show", name="numpi")).labels


async def test_any_topic_is_one_of_the_library(simulation: Simulation, library: Library) -> None:
    answer = await simulation.slash("topic random")
    assert answer.text.splitlines()[0].removeprefix("## ") in {topic.title for topic in library.topics.values()}


async def test_help_shows_moderators_more(simulation: Simulation) -> None:
    members, moderators = await simulation.slash("help", by=simulation.member), await simulation.slash("help")
    assert members.private
    assert "/framework" in members.text
    assert "/weekly" not in members.text
    assert members.text in moderators.text
    assert "/weekly subscribe" in moderators.text


async def test_help_names_only_commands_that_are_there(simulation: Simulation) -> None:
    text = (await simulation.slash("help")).text
    named = set(re.findall(r"`/([a-z ]+)`", text))
    there = {command.qualified_name for command in simulation.app.registration.tree.walk_commands()}
    assert {"framework", "weekly subscribe", "weekly status"} <= named <= there


async def test_help_fits_one_screen(simulation: Simulation) -> None:
    assert len((await simulation.slash("help")).text.splitlines()) <= 14


# Subscribing

WEDNESDAY = int(datetime(2026, 11, 25, 7, 5, tzinfo=ZoneInfo("America/New_York")).timestamp())


@pytest.mark.parametrize("kind", ["text", "news", "forum", "thread"])
async def test_a_channel_of_each_kind_can_be_subscribed_and_gets_its_post(simulation: Simulation, kind: str) -> None:
    is_thread = kind == "thread"
    channel = await thread_in(simulation, discord.ChannelType.public_thread) if is_thread else getattr(simulation, kind)
    answer = await simulation.slash("weekly subscribe", channel=channel)
    assert_told(answer, channel.mention, "Monday 09:00 (UTC)", "`everything`", "**How to use these weeks**")
    await simulation.next_week()
    assert titles(simulation, channel) == ["How to use these weeks"]


async def test_a_subscribed_thread_is_stored_with_the_channel_it_is_in(simulation: Simulation) -> None:
    thread = await thread_in(simulation, discord.ChannelType.public_thread)
    for channel, parent_id in [(thread, simulation.other.id), (simulation.text, None)]:
        await simulation.slash("weekly subscribe", channel=channel)
        assert (await simulation.subscription(channel)).parent_id == parent_id


async def test_the_channel_is_the_one_the_command_is_used_in(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", at=simulation.other)
    assert (await simulation.subscription(simulation.other)).active
    assert await simulation.app.repositories.subscriptions.of_channel(simulation.text.id) is None


async def test_every_option_is_taken(simulation: Simulation) -> None:
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
    assert_told(answer, "Wednesday 07:05 (America/New_York)", "`web`", "**Sanic**", f"<t:{WEDNESDAY}:F>")
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


async def test_subscribing_again_changes_just_the_option_given(simulation: Simulation) -> None:
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
        assert_told(await simulation.slash("weekly subscribe", **{option: value}), "Changed. ")
        after = (await simulation.subscription()).options
        assert {field for field in vars(before) if getattr(before, field) != getattr(after, field)} == {name}


WRONG: list[tuple[dict[str, Any], list[str]]] = [
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


async def test_a_wrong_option_is_told_with_what_to_type_instead(simulation: Simulation) -> None:
    for options, parts in WRONG:
        assert_told(await simulation.slash("weekly subscribe", **options), *parts)
    assert await simulation.app.repositories.subscriptions.of_channel(simulation.text.id) is None


async def test_a_forum_takes_neither_threads_nor_pins(simulation: Simulation) -> None:
    for option in ("thread", "pin"):
        options: dict[str, Any] = {option: True}
        answer = await simulation.slash("weekly subscribe", channel=simulation.forum, **options)
        assert_told(answer, "Leave that option out")


async def test_a_private_thread_cannot_be_subscribed(simulation: Simulation) -> None:
    thread = await thread_in(simulation, discord.ChannelType.private_thread)
    await simulation.bot_channel(thread).add_user(discord.Object(simulation.moderator.id))
    assert_told(await simulation.slash("weekly subscribe", channel=thread), "cannot post there", "public thread")


PERMISSIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("send_messages", "Send Messages", {}),
    ("read_message_history", "Read Message History", {}),
    ("create_public_threads", "Create Public Threads", {"thread": True}),
    ("send_messages_in_threads", "Send Messages in Threads", {"thread": True}),
    ("pin_messages", "Pin Messages", {"pin": True}),
]


async def test_a_permission_that_the_bot_lacks_is_named(simulation: Simulation) -> None:
    for permission, name, options in PERMISSIONS:
        channel = lacking(simulation, **{permission: False})
        answer = await simulation.slash("weekly subscribe", channel=channel, **options)
        assert_told(answer, f"I need {name} in {channel.mention}")


async def test_publishing_needs_embeds(simulation: Simulation) -> None:
    await allow(simulation, simulation.news, embed_links=False)
    await simulation.slash("weekly subscribe", channel=simulation.news)
    answer = await simulation.slash("weekly subscribe", channel=simulation.news, publish=True)
    assert_told(answer, f"I need Embed Links in {simulation.news.mention}")


async def test_a_channel_that_the_bot_does_not_see_is_told(simulation: Simulation) -> None:
    answer = await simulation.slash("weekly subscribe", channel=lacking(simulation, view_channel=False))
    assert answer.private
    assert "see" in answer.text or "View Channel" in answer.text
    assert "Something went wrong" not in answer.text
    assert all(isinstance(error, discord.app_commands.TransformerError) for error in simulation.env.errors)


async def test_only_roles_that_may_be_pinged_are_taken(simulation: Simulation) -> None:
    channel = lacking(simulation, mention_everyone=False)
    answer = await simulation.slash("weekly subscribe", channel=channel, ping=simulation.staff)
    assert_told(answer, f"I'm not allowed to ping {simulation.staff.mention}", "@mention this role")
    answer = await simulation.slash("weekly subscribe", ping=simulation.guild.default_role)
    assert_told(answer, "don't ping everyone")
    answer = await simulation.slash("weekly subscribe", channel=channel, ping=simulation.learners)
    assert_told(answer, "gets a topic each week")


async def test_a_post_lets_discord_ping_just_the_chosen_role(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", ping=simulation.learners)
    await simulation.slash("weekly subscribe", at=simulation.other)
    await simulation.next_week()
    mentions = {path: body["allowed_mentions"] for path, body in simulation.posted("/messages")}
    assert mentions == {
        f"/channels/{simulation.text.id}/messages": {"parse": [], "roles": [str(simulation.learners.id)]},
        f"/channels/{simulation.other.id}/messages": {"parse": []},
    }


# Looking after a subscription

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


async def test_a_channel_that_is_not_subscribed_is_told_how_to(simulation: Simulation) -> None:
    for command, options in NEEDS_SUBSCRIPTION:
        assert_told(await simulation.slash(command, **options), "no weekly topic", "`/weekly subscribe`")
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly unsubscribe")
    for command, options in NEEDS_SUBSCRIPTION:
        assert_told(await simulation.slash(command, **options), "no weekly topic", "`/weekly subscribe`")


async def test_an_unsubscribed_channel_gets_no_more_posts(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    assert_told(await simulation.slash("weekly unsubscribe"), "gets no more weekly topics")
    simulation.clock.move(weeks=1)
    await simulation.deliver()
    assert simulation.posts() == []


@pytest.mark.parametrize("publish", [False, True])
async def test_a_preview_is_private_and_equal_to_what_is_then_posted(simulation: Simulation, publish: bool) -> None:
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


async def test_a_preview_in_the_home_channel_has_the_form_of_its_posts(simulation: Simulation) -> None:
    await simulation.restart(home_channel_id=simulation.news.id)
    await simulation.slash("weekly subscribe", at=simulation.news, start="flask")
    assert (await simulation.slash("weekly preview", at=simulation.news)).message.embeds
    await simulation.next_week()
    [post] = simulation.posts(simulation.news)
    assert post.embeds


@pytest.mark.parametrize("publish", [False, True])
async def test_the_buttons_of_a_post_and_of_its_preview_answer(simulation: Simulation, publish: bool) -> None:
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
    assert_told(await simulation.slash("weekly pause"), "is paused", "**Flask**")
    simulation.clock.move(weeks=3)
    await simulation.deliver()
    assert simulation.posts() == []
    assert_told(await simulation.slash("weekly resume"), "Next in", "**Flask**")
    assert_told(await simulation.slash("weekly resume"), "isn't paused", "**Flask**")
    await simulation.next_week()
    assert titles(simulation) == ["Flask"]


async def test_a_skipped_topic_is_left_out_and_the_week_has_its_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    assert_told(await simulation.slash("weekly skip"), "Skipped **Flask**", "**Django**")
    await simulation.next_week()
    assert titles(simulation) == ["Django"]


async def test_a_post_now_comes_at_once_and_the_weekly_one_stays_where_it_is(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    slot = (await simulation.subscription()).next_slot
    answer = await simulation.slash("weekly post")
    [post] = simulation.posts()
    assert_told(answer, f"Posted [Flask]({post.jump_url})")
    assert (await simulation.subscription()).next_slot == slot
    await simulation.next_week()
    assert titles(simulation) == ["Flask", "Django"]


async def test_a_post_now_has_its_pin_and_thread_at_once(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", pin=True, thread=True)
    await simulation.slash("weekly post")
    assert simulation.posts()[0].pinned
    assert len(simulation.text.threads) == 1


async def test_a_refused_post_now_says_why(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
    assert_told(await simulation.slash("weekly post"), "**How to use these weeks** was not posted", "permission")


async def test_a_post_now_that_discord_could_not_take_is_tried_again(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    assert_told(await simulation.slash("weekly post"), "I couldn't post", "keep trying")
    assert_told(await simulation.slash("weekly post"), "I couldn't post", "keep trying")
    simulation.clock.move(minutes=2)
    assert_told(await simulation.slash("weekly post"), "on its way", "`/weekly status`")
    assert "On its way" in (await simulation.slash("weekly status")).text
    await simulation.deliver()
    assert titles(simulation) == ["How to use these weeks"]


async def test_the_next_topic_can_be_chosen(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    assert_told(await simulation.slash("weekly next", topic="robot framework"), "**Robot Framework**")
    await simulation.next_week(2)
    assert titles(simulation) == ["Robot Framework", "Flask"]


# Status


async def status(simulation: Simulation, at: ChannelHandle | None = None) -> str:
    answer = await simulation.slash("weekly status", at=at or simulation.text)
    assert answer.private
    return answer.text


async def test_status_says_how_to_begin(simulation: Simulation) -> None:
    assert "`/weekly subscribe`" in await status(simulation)


async def test_status_shows_when_what_comes_and_links_what_came(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.next_week()
    slot = int((await simulation.subscription()).next_slot.instant.timestamp())
    text = await status(simulation)
    assert simulation.text.mention in text
    assert f"Next: **Django**, <t:{slot}:f> (<t:{slot}:R>)" in text
    assert f"Last: [Flask]({simulation.posts()[0].jump_url})" in text


async def test_status_names_a_permission_that_was_taken_away(simulation: Simulation) -> None:
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


async def test_status_shows_why_a_channel_is_blocked_until_a_post_gets_through(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50001)
    await simulation.next_week()
    assert "Blocked: weekbot cannot see the channel" in await status(simulation)
    assert "Next: **How to use these weeks**" in await status(simulation)
    await simulation.next_week()
    assert "Blocked" not in await status(simulation)
    assert titles(simulation) == ["How to use these weeks"]


async def test_status_of_a_channel_that_was_refused_names_permissions_and_says_when_none_is_missing(
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


async def test_status_shows_a_miss_and_that_its_topic_is_still_to_come(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    simulation.clock.move(hours=30)
    await simulation.deliver()
    text = await status(simulation)
    assert "Missed" in text
    assert "**How to use these weeks**, still to be posted (weekbot was not running)" in text


async def test_status_shows_a_post_of_which_nobody_knows_whether_it_came(simulation: Simulation) -> None:
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


async def test_status_shows_what_kept_a_post_from_being_pinned(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", pin=True)
    simulation.env.inject_error("PUT", "/channels/*/pins/*", status=400, code=30003, message="Maximum number of pins")
    await simulation.next_week()
    text = await status(simulation)
    assert "1 channel · ⚠️ 1 with problems" in text
    assert "the channel has as many pins as Discord allows" in text
    assert len(simulation.posts()) == 1


async def test_status_shows_a_thread_that_waits_for_others_to_be_archived(simulation: Simulation) -> None:
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


async def test_status_of_a_server_with_many_channels_begins_with_the_one_it_is_asked_in(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(12)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    text = await status(simulation, at=channels[11])
    assert text.index(channels[11].mention) < text.index(channels[0].mention)
    assert text.count("Next: ") == 10
    assert "12 channels · ✅ all good" in text
    assert "1 to 10 of 12" in text


async def test_the_status_of_many_channels_can_be_turned(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(12)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    panel = await simulation.slash("weekly status", at=channels[0])
    await simulation.click(panel, by=simulation.moderator, label="Next")
    assert "11 to 12 of 12" in panel.text
    assert channels[11].mention in panel.text
    await simulation.click(panel, by=simulation.moderator, label="Previous")
    assert "1 to 10 of 12" in panel.text


async def managed(simulation: Simulation) -> Answer:
    """The panel of the one subscribed channel."""
    panel = await simulation.slash("weekly status")
    await simulation.click(panel, by=simulation.moderator, label="Manage")
    return panel


async def act(simulation: Simulation, panel: Answer, label: str) -> Answer:
    return await simulation.click(panel, by=simulation.moderator, label=label)


async def test_a_channel_is_looked_after_from_its_panel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    panel = await managed(simulation)
    assert panel.labels == ["Preview", "Post now", "Skip next topic", "Pause", "All channels", "Unsubscribe"]
    await act(simulation, panel, "Skip next topic")
    assert "Skipped **Flask**" in panel.text
    assert "Next: **Django**" in panel.text
    await act(simulation, panel, "Pause")
    assert "is paused; no topic is lost" in panel.text
    assert "Resume" in panel.labels
    assert "1 paused" in await status(simulation)
    await act(simulation, panel, "Resume")
    assert "Pause" in panel.labels
    assert not (await simulation.subscription()).paused
    await act(simulation, panel, "Post now")
    assert "Posted [Django]" in panel.text
    assert titles(simulation) == ["Django"]
    await act(simulation, panel, "Unsubscribe")
    assert "gets no more weekly topics" in panel.text
    assert panel.labels == ["All channels"]
    await act(simulation, panel, "All channels")
    assert "`/weekly subscribe`" in panel.text


async def test_the_preview_is_one_click_from_subscribing_and_from_the_panel(simulation: Simulation) -> None:
    subscribed = await simulation.slash("weekly subscribe", start="flask")
    for answer in (subscribed, await managed(simulation)):
        preview = await act(simulation, answer, "Preview")
        assert preview.private
        assert "## This week: Flask" in preview.text


async def test_a_deleted_channel_can_be_unsubscribed_from_the_panel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", channel=simulation.other)
    await simulation.bot_channel(simulation.other).delete()
    panel = await managed(simulation)
    assert "the channel is gone" in panel.text
    await act(simulation, panel, "Unsubscribe")
    assert "No channel has a weekly topic" in await status(simulation)


async def test_the_panel_outlives_a_restart_and_an_unsubscribed_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    panel = await managed(simulation)
    await simulation.restart()
    await act(simulation, panel, "Pause")
    assert "is paused" in panel.text
    await simulation.slash("weekly unsubscribe")
    assert_told(await act(simulation, panel, "Resume"), "no weekly topic")


async def test_the_panels_buttons_are_for_moderators_of_this_server_only(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", start="flask")
    for custom_id in (
        "weekbot:status:0",
        f"weekbot:manage:{simulation.text.id}",
        f"weekbot:do:post:{simulation.text.id}",
    ):
        view = discord.ui.LayoutView()
        view.add_item(discord.ui.ActionRow(discord.ui.Button(label="Forged", custom_id=custom_id)))
        message = await simulation.bot_channel(simulation.text).send(view=view)
        assert_told(await simulation.click(message, by=simulation.member, label="Forged"), "**Manage Server**")
    elsewhere = simulation.env.create_guild("Elsewhere", shard_id=0)
    channel = elsewhere.create_text_channel("general")
    role = elsewhere.create_role("Mods", permissions=discord.Permissions(manage_guild=True))
    eve = elsewhere.add_member(simulation.env.create_user("eve"), roles=[role])
    message = await simulation.bot_channel(channel).send(view=view)
    assert_told(await simulation.click(message, by=eve, label="Forged"), "no weekly topic")
    assert simulation.posts() == []


async def test_status_tells_nothing_of_other_servers(simulation: Simulation) -> None:
    elsewhere = simulation.env.create_guild("Elsewhere", shard_id=0)
    channel = elsewhere.create_text_channel("general")
    user = simulation.env.create_user("eve")
    role = elsewhere.create_role("Mods", permissions=discord.Permissions(manage_guild=True))
    eve = elsewhere.add_member(user, roles=[role])
    await simulation.slash("weekly subscribe")
    answer = await simulation.slash("weekly status", by=eve, at=channel)
    assert "No channel has a weekly topic yet" in answer.text


# Settings


async def test_the_servers_time_zone_moves_every_channel_that_has_none_of_its_own(simulation: Simulation) -> None:
    assert_told(await simulation.slash("weekly settings"), "**UTC**")
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other, timezone="Asia/Tokyo")
    follows, stays = [(await simulation.subscription(each)).next_slot for each in (simulation.text, simulation.other)]
    assert_told(await simulation.slash("weekly settings", timezone="europe/berlin"), "**Europe/Berlin**")
    assert (await simulation.subscription()).next_slot.instant == follows.instant - timedelta(hours=1) + timedelta(
        weeks=1
    )
    assert (await simulation.subscription(simulation.other)).next_slot == stays
    assert_told(await simulation.slash("weekly settings", timezone="nowhere"), "I don't know that time zone")


async def test_notices_go_to_the_system_channel_unless_another_is_set(simulation: Simulation) -> None:
    await simulation.has_system_channel(simulation.news)
    assert_told(await simulation.slash("weekly settings"), "in the system channel")
    assert_told(await simulation.slash("weekly settings", notices=simulation.other), f"in {simulation.other.mention}")
    assert_told(await simulation.slash("weekly settings", timezone="Asia/Tokyo"), "**Asia/Tokyo**")
    assert_told(await simulation.slash("weekly settings"), "**Asia/Tokyo**", f"in {simulation.other.mention}")


async def test_without_a_channel_for_notices_settings_and_status_say_how_to_choose_one(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    hint = "I have no channel where I can report problems to moderators"
    answer = await simulation.slash("weekly settings")
    assert_told(answer, "**UTC**", "Choose a channel for notices with `/weekly settings`")
    assert hint in await status(simulation)

    await simulation.slash("weekly settings", notices=simulation.other)
    assert hint not in await status(simulation)

    await allow(simulation, simulation.other, send_messages=False)
    assert hint in await status(simulation)
    await simulation.has_system_channel(simulation.news)
    answer = await simulation.slash("weekly settings")
    assert_told(answer, f"in the system channel, because I can't write in {simulation.other.mention}")
    assert hint not in await status(simulation)


async def test_a_channel_for_notices_that_the_bot_may_not_write_in_is_refused(simulation: Simulation) -> None:
    await simulation.has_system_channel(simulation.news)
    channel = lacking(simulation, send_messages=False)
    answer = await simulation.slash("weekly settings", notices=channel, timezone="Asia/Tokyo")
    assert_told(answer, f"I'm not allowed to write in {channel.mention}", "View Channel and Send Messages", "try again")
    assert_told(await simulation.slash("weekly settings"), "**UTC**", "in the system channel")


# When something is wrong


async def allow(simulation: Simulation, channel: ChannelHandle, **permissions: bool | None) -> None:
    """Change what the bot may do in a channel."""
    known = simulation.bot_channel(channel)
    await known.set_permissions(known.guild.me, **permissions)
    await asyncio.sleep(0)  # discord.py tells the bot in a task of its own


async def look_and_deliver(simulation: Simulation, before_slot: timedelta) -> None:
    """A minute of the bot's, so long before the channel's next slot."""
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant - before_slot
    await simulation.app.preflight.run()
    await simulation.deliver()


DAY, HOUR, AT_SLOT = timedelta(days=1), timedelta(hours=1), timedelta()


def told(channel: ChannelHandle) -> list[str]:
    return [message.content for message in channel.history()]


async def test_a_channel_that_cannot_be_posted_in_is_told_of_once_and_heals_by_itself(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", track="web")
    await allow(simulation, simulation.text, send_messages=False)
    slot = int((await simulation.subscription()).next_slot.instant.timestamp())
    await look_and_deliver(simulation, DAY + timedelta(minutes=1))
    assert told(simulation.other) == []

    await look_and_deliver(simulation, DAY)
    [warning] = told(simulation.other)
    place = f"problem with the next weekly topic in {simulation.text.mention}, due <t:{slot}:R>"
    assert f"{place}: weekbot is missing Send Messages." in warning
    assert "Send Messages" in await status(simulation)
    await look_and_deliver(simulation, HOUR)
    assert told(simulation.other) == [warning]

    await look_and_deliver(simulation, AT_SLOT)
    [_, blocked] = told(simulation.other)
    assert f"couldn't post the weekly topic in {simulation.text.mention}: weekbot lacks a permission here" in blocked
    assert "Blocked: weekbot is missing Send Messages." in await status(simulation)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await look_and_deliver(simulation, before_slot)
    assert told(simulation.other) == [warning, blocked]
    assert simulation.bodies(f"/channels/{simulation.text.id}/messages") == []  # what is surely refused is not sent

    await allow(simulation, simulation.text, send_messages=None)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await look_and_deliver(simulation, before_slot)
    assert titles(simulation) == ["Flask"]
    assert told(simulation.other) == [warning, blocked]
    text = await status(simulation)
    assert "✅ all good" in text
    assert "Blocked" not in text


async def test_a_server_posts_by_hand_some_times_a_minute_at_most(simulation: Simulation) -> None:
    channels = [simulation.guild.create_text_channel(f"c{number}") for number in range(MAX_POSTS + 1)]
    for channel in channels:
        await simulation.slash("weekly subscribe", at=channel)
    *posted, refused = [await simulation.slash("weekly post", at=channel) for channel in channels]
    assert all("Posted [" in answer.text for answer in posted)
    assert refused.private
    assert "Wait a minute" in refused.text
    assert sum(len(simulation.posts(channel)) for channel in channels) == MAX_POSTS


async def test_a_server_has_as_many_subscriptions_as_the_operator_allows(simulation: Simulation) -> None:
    await simulation.restart(subscriptions_per_server=2)
    for channel in (simulation.text, simulation.other):
        assert "gets a topic each week" in (await simulation.slash("weekly subscribe", at=channel)).text
    refused = await simulation.slash("weekly subscribe", at=simulation.news)
    assert "This server has reached its limit of weekly topics." in refused.text
    assert "Changed." in (await simulation.slash("weekly subscribe", at=simulation.text, day=3)).text
    await simulation.slash("weekly unsubscribe", at=simulation.text)
    assert "gets a topic each week" in (await simulation.slash("weekly subscribe", at=simulation.news)).text


async def blocked_at_the_slot(simulation: Simulation) -> None:
    """Subscribed to Flask, and refused at the slot, as the bot may not write."""
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly next", topic="django")
    await allow(simulation, simulation.text, send_messages=False)
    await look_and_deliver(simulation, AT_SLOT)
    await simulation.app.reopening.run()  # hears of the change before the slot, and leaves it
    await simulation.deliver()
    assert titles(simulation) == []


async def reopen(simulation: Simulation, **later: float) -> bool:
    """The next tick."""
    simulation.clock.move(**later)
    reopened = await simulation.app.reopening.run()
    await simulation.deliver()
    return reopened


async def test_a_post_that_was_refused_is_posted_in_the_same_week_if_the_server_gives_the_permission_back(
    simulation: Simulation,
) -> None:
    await blocked_at_the_slot(simulation)
    assert not await reopen(simulation, minutes=1)
    await allow(simulation, simulation.text, send_messages=None)
    assert await reopen(simulation, minutes=1)
    assert titles(simulation) == ["Django"]
    assert "✅ all good" in await status(simulation)
    await simulation.next_week()
    assert titles(simulation) == ["Django", "Flask"]


async def test_a_refused_post_is_left_for_the_next_week_if_the_change_comes_too_late_or_mends_nothing(
    simulation: Simulation,
) -> None:
    await blocked_at_the_slot(simulation)
    await allow(simulation, simulation.text, send_messages=False, embed_links=False)
    assert not await reopen(simulation, minutes=1)
    await allow(simulation, simulation.text, send_messages=None)
    assert not await reopen(simulation, days=2)
    await simulation.next_week()
    assert titles(simulation) == ["Django"]


async def test_a_refused_post_is_not_tried_again_after_another_one(simulation: Simulation) -> None:
    await blocked_at_the_slot(simulation)
    await simulation.slash("weekly next", topic="flask")
    await allow(simulation, simulation.text, send_messages=None)
    assert not await reopen(simulation, minutes=1)
    await simulation.slash("weekly post")
    await allow(simulation, simulation.text, embed_links=False)
    assert not await reopen(simulation, minutes=1)
    assert titles(simulation) == ["Flask"]


async def test_what_breaks_again_after_it_had_healed_is_told_again(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe")
    for _ in range(2):
        await allow(simulation, simulation.text, send_messages=False)
        for before_slot in (DAY, HOUR, AT_SLOT):
            await look_and_deliver(simulation, before_slot)
        await allow(simulation, simulation.text, send_messages=None)
        for before_slot in (DAY, HOUR, AT_SLOT):
            await look_and_deliver(simulation, before_slot)
    assert [text[0] for text in told(simulation.other)] == ["⚠", "🚫", "⚠", "🚫"]
    assert len(simulation.posts()) == 2


async def test_what_breaks_in_the_last_day_is_told_an_hour_ahead(simulation: Simulation) -> None:
    await simulation.slash("weekly settings", notices=simulation.other)
    await simulation.slash("weekly subscribe", pin=True)
    await look_and_deliver(simulation, DAY)
    await allow(simulation, simulation.text, pin_messages=False)
    await look_and_deliver(simulation, HOUR + timedelta(minutes=1))
    assert told(simulation.other) == []
    await look_and_deliver(simulation, HOUR)
    [warning] = told(simulation.other)
    assert "weekbot is missing Pin Messages" in warning


async def test_without_a_channel_for_notices_the_system_channel_is_told(simulation: Simulation) -> None:
    await simulation.has_system_channel(simulation.other)
    await simulation.slash("weekly subscribe")
    await allow(simulation, simulation.text, send_messages=False)
    await look_and_deliver(simulation, AT_SLOT)
    [blocked] = told(simulation.other)
    assert f"couldn't post the weekly topic in {simulation.text.mention}" in blocked


async def test_without_either_another_weekly_channel_learns_that_something_is_wrong(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other, day=5)
    await allow(simulation, simulation.text, send_messages=False)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await look_and_deliver(simulation, before_slot)
    warned, blocked = told(simulation.other)
    assert "needs a moderator" in warned
    assert warned == blocked
    assert "Send Messages" not in warned
    assert simulation.text.mention not in warned


async def test_where_nobody_can_be_told_the_bot_goes_on(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe")
    await simulation.slash("weekly subscribe", at=simulation.other)
    await allow(simulation, simulation.text, send_messages=False)
    for before_slot in (DAY, HOUR, AT_SLOT):
        await look_and_deliver(simulation, before_slot)
    assert "Blocked" in await status(simulation)
    assert titles(simulation, simulation.other) == ["How to use these weeks"]


# Who may


async def test_discord_refuses_members_without_manage_server(simulation: Simulation) -> None:
    for command, options in EVERY_WEEKLY_COMMAND:
        with pytest.raises(simcord.SetupError, match="default-member-permissions"):
            await simulation.slash(command, by=simulation.member, **options)


async def test_the_bot_refuses_members_without_manage_server_where_discord_was_told_not_to(
    simulation: Simulation,
) -> None:
    await simulation.slash("weekly subscribe")
    before = await simulation.subscription()
    root = next(each for each in await simulation.app.registration.tree.fetch_commands() if each.name == "weekly")
    simulation.guild.set_command_permissions(root, {simulation.member: True})
    for command, options in EVERY_WEEKLY_COMMAND:
        assert_told(await simulation.slash(command, by=simulation.member, **options), MANAGE_SERVER_NEEDED)
    assert await simulation.subscription() == before
    assert simulation.posts() == []
    assert {type(error) for error in simulation.env.errors} == {discord.app_commands.MissingPermissions}


async def test_every_weekly_command_is_tried_above(simulation: Simulation) -> None:
    [weekly] = [each for each in simulation.app.registration.tree.get_commands() if each.name == "weekly"]
    assert isinstance(weekly, discord.app_commands.Group)
    assert {f"weekly {each.name}" for each in weekly.commands} == {command for command, _ in EVERY_WEEKLY_COMMAND}


# After a restart


async def test_old_messages_answer_and_everything_goes_on_after_a_restart(
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


async def test_an_unexpected_error_is_told_with_an_id_that_is_logged(
    simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    await simulation.slash("weekly subscribe")
    async with simulation.app.repositories.subscriptions._database.write() as connection:
        await connection.exec_driver_sql("DROP TABLE steps")
    answer = await simulation.slash("weekly status")
    assert_told(answer, "Something went wrong on my side")
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
def test_an_answer_that_is_refused_without_discords_code_is_lost_and_no_mistake_of_weekbots(
    status: int, answer: str | dict[str, Any], lost: bool
) -> None:
    response: Any = SimpleNamespace(status=status, reason="made to fail")
    assert is_undeliverable(discord.HTTPException(response, answer)) is lost


@pytest.mark.parametrize("said", [None, {}, "text", {"interaction": {}}], ids=str)
def test_an_answer_to_which_discord_says_nothing_readable_is_lost_and_no_mistake_of_weekbots(said: Any) -> None:
    nothing: Any = None
    kind = discord.InteractionResponseType.channel_message
    with pytest.raises((TypeError, LookupError)) as raised:
        discord.InteractionCallbackResponse(data=said, parent=nothing, state=nothing, type=kind)
    assert is_undeliverable(raised.value)
    assert not is_undeliverable(TypeError("a mistake of weekbot's"))
