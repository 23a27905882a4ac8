"""Repeated commands, resubscription, `/weekly reset`, and commands in a post's thread."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest
from simcord import ChannelHandle

from fakes import FakeClock
from simulation import Simulation, simulated
from weekbot.bot.commands.arguments import parse_reset
from weekbot.domain.deliveries import State
from weekbot.runtime.errors import WeekbotError


@pytest.fixture
async def simulation(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, clock) as simulation:
        yield simulation


async def upcoming_slug(simulation: Simulation, channel: ChannelHandle | None = None) -> str:
    return (await simulation.upcoming_topic(await simulation.subscription(channel))).slug


# Repetitions


async def test_a_repeated_skip_skips_one_topic_and_offers_a_button_for_the_next(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    repeated = await simulation.slash("weekly skip")
    assert repeated.private
    assert repeated.text.startswith("I already skipped **Flask** <t:")
    assert repeated.labels == ["Skip Django too"]
    assert await upcoming_slug(simulation) == "django"

    pressed = await simulation.click(repeated, by=simulation.moderator, label="Skip Django too")
    assert "Skipped **Django**" in pressed.text
    third = await upcoming_slug(simulation)
    assert third not in ("flask", "django")
    assert "I already skipped **Django**" in (await simulation.slash("weekly skip")).text
    assert await upcoming_slug(simulation) == third


async def test_a_repeated_post_command_posts_once_and_offers_a_button_for_the_next(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly post")
    repeated = await simulation.slash("weekly post")
    assert repeated.text.startswith("I already posted [Flask](")
    assert repeated.labels == ["Post Django too"]
    assert len(simulation.posts()) == 1
    await simulation.click(repeated, by=simulation.moderator, label="Post Django too")
    assert len(simulation.posts()) == 2


@pytest.mark.parametrize(("command", "posts"), [("weekly skip", 0), ("weekly post", 2)])
async def test_a_command_is_carried_out_again_after_a_minute(simulation: Simulation, command: str, posts: int) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash(command)
    simulation.clock.move(seconds=61)
    assert "already" not in (await simulation.slash(command)).text
    assert await upcoming_slug(simulation) not in ("flask", "django")
    assert len(simulation.posts()) == posts


async def test_a_repetition_is_recognized_after_a_restart(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    await simulation.restart()
    assert "I already skipped **Flask**" in (await simulation.slash("weekly skip")).text


async def test_a_post_after_a_skip_is_not_a_repetition(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    assert "Posted [Django](" in (await simulation.slash("weekly post")).text


async def test_a_refused_post_can_be_repeated_immediately(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
    assert "was not posted" in (await simulation.slash("weekly post")).text
    assert "Posted [Flask](" in (await simulation.slash("weekly post")).text


async def test_a_repeated_start_keeps_a_post_made_in_between(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", start="django")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant
    await simulation.slash("weekly subscribe", start="flask")
    await simulation.deliver()
    await simulation.slash("weekly subscribe", start="flask")
    assert await upcoming_slug(simulation) == "django"
    simulation.clock.move(minutes=2)
    await simulation.slash("weekly subscribe", start="flask")
    assert await upcoming_slug(simulation) == "flask"


async def test_a_repeated_choice_is_recognized_after_a_late_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant + timedelta(minutes=10)
    await simulation.slash("weekly next", topic="numpy")
    await simulation.deliver()
    assert "I already posted [NumPy](" in (await simulation.slash("weekly next", topic="numpy")).text
    assert await upcoming_slug(simulation) == "flask"


async def test_the_minute_starts_when_a_slow_post_succeeds(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    assert "keep trying" in (await simulation.slash("weekly post")).text
    simulation.clock.move(minutes=5)
    await simulation.deliver()
    assert "I already posted [Flask](" in (await simulation.slash("weekly post")).text
    assert len(simulation.posts()) == 1


async def test_a_repeated_choice_is_recognized_after_its_post(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant
    await simulation.slash("weekly next", topic="numpy")
    await simulation.deliver()
    assert "I already posted [NumPy](" in (await simulation.slash("weekly next", topic="numpy")).text
    assert await upcoming_slug(simulation) == "flask"


# Resubscription


async def test_a_resubscribed_channel_keeps_its_round_and_options(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", pin=True, day=2, ping=simulation.learners)
    await simulation.next_week(2)
    before = await simulation.subscription()
    await simulation.slash("weekly unsubscribe")
    answer = await simulation.slash("weekly subscribe")
    assert "continues where it stopped, with the same options" in answer.text
    after = await simulation.subscription()
    assert (after.options, after.round) == (before.options, before.round)
    assert await upcoming_slug(simulation) not in ("flask", "django")

    await simulation.slash("weekly unsubscribe")
    assert "gets a topic each week" in (await simulation.slash("weekly subscribe", start="flask")).text
    assert await upcoming_slug(simulation) == "flask"


# Reset


@pytest.mark.parametrize(
    ("option", "given"),
    [("ping", "learners"), ("timezone", "Asia/Tokyo"), ("start", "django")],
)
async def test_an_option_of_the_channel_is_reset(simulation: Simulation, option: str, given: str) -> None:
    value: Any = simulation.learners if option == "ping" else given
    await simulation.slash("weekly subscribe", track="web")
    fresh = (await simulation.subscription()).options
    await simulation.slash("weekly subscribe", **{option: value})
    await simulation.next_week()
    answer = await simulation.slash("weekly reset", option=option)
    assert answer.text.startswith("Reset. ")
    assert answer.private
    assert (await simulation.subscription()).options == fresh
    assert await upcoming_slug(simulation) == ("flask" if option == "start" else "django")
    assert "There was nothing to reset." in (await simulation.slash("weekly reset", option=option)).text


async def test_the_chosen_topic_is_reset(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly next", topic="numpy")
    assert "Next: **Flask**" in (await simulation.slash("weekly reset", option="next")).text


async def test_the_notices_channel_is_reset_to_the_system_channel(simulation: Simulation) -> None:
    await simulation.set_system_channel(simulation.other)
    await simulation.slash("weekly settings", notices=simulation.text)
    assert "the system channel" in (await simulation.slash("weekly reset", option="notices")).text
    settings = await simulation.app.repositories.guilds.settings(simulation.guild.id)
    assert settings.notices_channel_id is None


@pytest.mark.parametrize("typed", ["ping", "Role to ping", " role to PING ", "Rolle, die erwähnt wird"])
def test_an_option_is_recognized_by_its_name_or_description(typed: str) -> None:
    assert parse_reset(typed) == "ping"


def test_an_option_that_cannot_be_reset_is_an_error() -> None:
    with pytest.raises(WeekbotError, match="Choose one of the suggested options"):
        parse_reset("track")


# Threads of posts


async def thread_of_a_post(simulation: Simulation) -> ChannelHandle:
    await simulation.slash("weekly subscribe", track="web", thread=True)
    await simulation.slash("weekly post")
    [thread] = simulation.text.threads
    return thread


async def forum_post(simulation: Simulation) -> ChannelHandle:
    await simulation.slash("weekly subscribe", track="web", at=simulation.text, channel=simulation.forum)
    await simulation.slash("weekly post", channel=simulation.forum)
    [thread] = simulation.forum.threads
    return thread


PUBLIC = discord.ChannelType.public_thread
PLACES = pytest.mark.parametrize(("opened", "parent"), [(thread_of_a_post, "text"), (forum_post, "forum")])


@PLACES
async def test_every_command_in_a_posts_thread_applies_to_its_channel(
    simulation: Simulation, opened: Any, parent: str
) -> None:
    thread, channel = await opened(simulation), getattr(simulation, parent)
    simulation.clock.move(minutes=2)

    async def response(command: str, **options: Any) -> str:
        return (await simulation.slash(command, at=thread, **options)).text

    assert "This week's topic here: [Flask](" in await response("topic current")
    assert "Posted in this channel" in await response("framework", name="flask")
    [post] = simulation.posts(channel)
    await simulation.click(post, by=simulation.moderator, label="I finished it")
    assert "Next: Django" in (await simulation.slash("progress", at=thread)).labels
    assert "This week: Django" in await response("weekly preview")
    assert f"<#{channel.id}> is paused" in await response("weekly pause")
    assert f"Next in <#{channel.id}>" in await response("weekly resume")
    assert f"Next in <#{channel.id}>: **NumPy**" in await response("weekly next", topic="numpy")
    assert f"Reset. <#{channel.id}>" in await response("weekly reset", option="next")
    assert "Skipped **Django**" in await response("weekly skip")
    assert "Posted [" in await response("weekly post")
    assert f"Changed. <#{channel.id}>" in await response("weekly subscribe", day=3)
    assert f"<#{channel.id}> gets no more weekly topics" in await response("weekly unsubscribe")
    assert await simulation.app.repositories.subscriptions.of_channel(thread.id) is None


async def test_a_command_in_a_subscribed_thread_applies_to_the_thread(simulation: Simulation) -> None:
    thread = await thread_of_a_post(simulation)
    await simulation.slash("weekly subscribe", channel=thread)
    assert f"<#{thread.id}> is paused" in (await simulation.slash("weekly pause", at=thread)).text
    assert not (await simulation.subscription()).paused


async def test_a_repeated_unsubscription_in_a_thread_does_not_affect_its_channel(
    simulation: Simulation,
) -> None:
    thread = await thread_of_a_post(simulation)
    await simulation.slash("weekly subscribe", channel=thread)
    assert f"<#{thread.id}> gets no more" in (await simulation.slash("weekly unsubscribe", at=thread)).text
    assert f"<#{thread.id}> already has no weekly" in (await simulation.slash("weekly unsubscribe", at=thread)).text
    assert (await simulation.subscription()).active


async def test_a_thread_that_is_not_a_posts_thread_is_not_its_channel(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    opened = await simulation.bot_channel(simulation.text).create_thread(name="corner", type=PUBLIC)
    thread = next(each for each in simulation.text.threads if each.id == opened.id)
    assert "no weekly topic" in (await simulation.slash("weekly pause", at=thread)).text


async def test_a_posts_thread_given_as_the_channel_option_stands_for_its_channel(simulation: Simulation) -> None:
    thread = await thread_of_a_post(simulation)
    assert f"<#{simulation.text.id}> is paused" in (await simulation.slash("weekly pause", channel=thread)).text
    last = (await simulation.app.repositories.deliveries.last([(await simulation.subscription()).id], *State)).values()
    assert len(last) == 1
