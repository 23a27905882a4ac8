"""Repetitions within a minute change nothing more, options can be unset, and a post's thread counts as its channel."""

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


async def coming(simulation: Simulation, channel: ChannelHandle | None = None) -> str:
    return (await simulation.upcoming_topic(await simulation.subscription(channel))).slug


# Repetitions


async def test_a_skip_that_is_repeated_skips_one_topic_and_a_button_skips_the_next(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    repeated = await simulation.slash("weekly skip")
    assert repeated.private
    assert repeated.text.startswith("I already skipped **Flask** <t:")
    assert repeated.labels == ["Skip Django too"]
    assert await coming(simulation) == "django"

    pressed = await simulation.click(repeated, by=simulation.moderator, label="Skip Django too")
    assert "Skipped **Django**" in pressed.text
    third = await coming(simulation)
    assert third not in ("flask", "django")
    assert "I already skipped **Django**" in (await simulation.slash("weekly skip")).text
    assert await coming(simulation) == third


async def test_a_post_that_is_repeated_is_one_post_and_a_button_posts_the_next(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly post")
    repeated = await simulation.slash("weekly post")
    assert repeated.text.startswith("I already posted [Flask](")
    assert repeated.labels == ["Post Django too"]
    assert len(simulation.posts()) == 1
    await simulation.click(repeated, by=simulation.moderator, label="Post Django too")
    assert len(simulation.posts()) == 2


@pytest.mark.parametrize(("command", "posts"), [("weekly skip", 0), ("weekly post", 2)])
async def test_after_a_minute_it_is_meant_again(simulation: Simulation, command: str, posts: int) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash(command)
    simulation.clock.move(seconds=61)
    assert "already" not in (await simulation.slash(command)).text
    assert await coming(simulation) not in ("flask", "django")
    assert len(simulation.posts()) == posts


async def test_a_repetition_is_known_after_a_restart(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    await simulation.restart()
    assert "I already skipped **Flask**" in (await simulation.slash("weekly skip")).text


async def test_a_skip_and_a_post_do_not_repeat_each_other(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly skip")
    assert "Posted [Django](" in (await simulation.slash("weekly post")).text


async def test_a_post_that_discord_refused_can_be_repeated_at_once(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
    assert "was not posted" in (await simulation.slash("weekly post")).text
    assert "Posted [Flask](" in (await simulation.slash("weekly post")).text


async def test_a_start_that_is_repeated_does_not_forget_a_post_between(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", start="django")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant
    await simulation.slash("weekly subscribe", start="flask")
    await simulation.deliver()
    await simulation.slash("weekly subscribe", start="flask")
    assert await coming(simulation) == "django"
    simulation.clock.move(minutes=2)
    await simulation.slash("weekly subscribe", start="flask")
    assert await coming(simulation) == "flask"


async def test_a_choice_is_not_repeated_either_if_its_post_was_late(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant + timedelta(minutes=10)
    await simulation.slash("weekly next", topic="numpy")
    await simulation.deliver()
    assert "I already posted [NumPy](" in (await simulation.slash("weekly next", topic="numpy")).text
    assert await coming(simulation) == "flask"


async def test_a_post_that_took_long_is_repeated_within_a_minute_of_its_end(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.env.inject_error("POST", "/channels/*/messages", status=500)
    assert "keep trying" in (await simulation.slash("weekly post")).text
    simulation.clock.move(minutes=5)
    await simulation.deliver()
    assert "I already posted [Flask](" in (await simulation.slash("weekly post")).text
    assert len(simulation.posts()) == 1


async def test_a_choice_that_is_repeated_after_its_post_is_not_made_again(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    simulation.clock.instant = (await simulation.subscription()).next_slot.instant
    await simulation.slash("weekly next", topic="numpy")
    await simulation.deliver()
    assert "I already posted [NumPy](" in (await simulation.slash("weekly next", topic="numpy")).text
    assert await coming(simulation) == "flask"


# Coming back


async def test_a_channel_that_comes_back_goes_on_with_its_round_and_its_options(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web", pin=True, day=2, ping=simulation.learners)
    await simulation.next_week(2)
    before = await simulation.subscription()
    await simulation.slash("weekly unsubscribe")
    answer = await simulation.slash("weekly subscribe")
    assert "continues where it stopped, with the same options" in answer.text
    after = await simulation.subscription()
    assert (after.options, after.round) == (before.options, before.round)
    assert await coming(simulation) not in ("flask", "django")

    await simulation.slash("weekly unsubscribe")
    assert "gets a topic each week" in (await simulation.slash("weekly subscribe", start="flask")).text
    assert await coming(simulation) == "flask"


# Unsetting


@pytest.mark.parametrize(
    ("option", "given"),
    [("ping", "learners"), ("timezone", "Asia/Tokyo"), ("start", "django")],
)
async def test_an_option_of_the_channel_is_unset(simulation: Simulation, option: str, given: str) -> None:
    value: Any = simulation.learners if option == "ping" else given
    await simulation.slash("weekly subscribe", track="web")
    fresh = (await simulation.subscription()).options
    await simulation.slash("weekly subscribe", **{option: value})
    await simulation.next_week()
    answer = await simulation.slash("weekly reset", option=option)
    assert answer.text.startswith("Reset. ")
    assert answer.private
    assert (await simulation.subscription()).options == fresh
    assert await coming(simulation) == ("flask" if option == "start" else "django")
    assert "There was nothing to reset." in (await simulation.slash("weekly reset", option=option)).text


async def test_a_chosen_topic_is_given_up(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    await simulation.slash("weekly next", topic="numpy")
    assert "Next: **Flask**" in (await simulation.slash("weekly reset", option="next")).text


async def test_the_channel_for_notices_is_the_system_channel_again(simulation: Simulation) -> None:
    await simulation.set_system_channel(simulation.other)
    await simulation.slash("weekly settings", notices=simulation.text)
    assert "the system channel" in (await simulation.slash("weekly reset", option="notices")).text
    settings = await simulation.app.repositories.guilds.settings(simulation.guild.id)
    assert settings.notices_channel_id is None


@pytest.mark.parametrize("typed", ["ping", "Role to ping", " role to PING ", "Rolle, die erwähnt wird"])
def test_the_name_of_an_option_is_taken_for_it(typed: str) -> None:
    assert parse_reset(typed) == "ping"


def test_an_option_that_cannot_be_reset_is_refused_with_a_sentence() -> None:
    with pytest.raises(WeekbotError, match="Choose one of the suggested options"):
        parse_reset("track")


# A post's thread is its channel


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
async def test_every_command_in_a_posts_thread_means_its_channel(
    simulation: Simulation, opened: Any, parent: str
) -> None:
    thread, channel = await opened(simulation), getattr(simulation, parent)
    simulation.clock.move(minutes=2)

    async def say(command: str, **options: Any) -> str:
        return (await simulation.slash(command, at=thread, **options)).text

    assert "This week's topic here: [Flask](" in await say("topic current")
    assert "Posted in this channel" in await say("framework", name="flask")
    [post] = simulation.posts(channel)
    await simulation.click(post, by=simulation.moderator, label="I finished it")
    assert "Next: Django" in (await simulation.slash("progress", at=thread)).labels
    assert "This week: Django" in await say("weekly preview")
    assert f"<#{channel.id}> is paused" in await say("weekly pause")
    assert f"Next in <#{channel.id}>" in await say("weekly resume")
    assert f"Next in <#{channel.id}>: **NumPy**" in await say("weekly next", topic="numpy")
    assert f"Reset. <#{channel.id}>" in await say("weekly reset", option="next")
    assert "Skipped **Django**" in await say("weekly skip")
    assert "Posted [" in await say("weekly post")
    assert f"Changed. <#{channel.id}>" in await say("weekly subscribe", day=3)
    assert f"<#{channel.id}> gets no more weekly topics" in await say("weekly unsubscribe")
    assert await simulation.app.repositories.subscriptions.of_channel(thread.id) is None


async def test_a_thread_that_is_subscribed_itself_means_itself(simulation: Simulation) -> None:
    thread = await thread_of_a_post(simulation)
    await simulation.slash("weekly subscribe", channel=thread)
    assert f"<#{thread.id}> is paused" in (await simulation.slash("weekly pause", at=thread)).text
    assert not (await simulation.subscription()).paused


async def test_an_unsubscription_that_is_repeated_in_a_posts_thread_ends_only_the_threads(
    simulation: Simulation,
) -> None:
    thread = await thread_of_a_post(simulation)
    await simulation.slash("weekly subscribe", channel=thread)
    assert f"<#{thread.id}> gets no more" in (await simulation.slash("weekly unsubscribe", at=thread)).text
    assert f"<#{thread.id}> already has no weekly" in (await simulation.slash("weekly unsubscribe", at=thread)).text
    assert (await simulation.subscription()).active


async def test_a_thread_that_somebody_else_opened_is_no_posts_thread(simulation: Simulation) -> None:
    await simulation.slash("weekly subscribe", track="web")
    opened = await simulation.bot_channel(simulation.text).create_thread(name="corner", type=PUBLIC)
    thread = next(each for each in simulation.text.threads if each.id == opened.id)
    assert "no weekly topic" in (await simulation.slash("weekly pause", at=thread)).text


async def test_a_channel_given_by_name_means_its_thread_for_what_is_subscribed(simulation: Simulation) -> None:
    thread = await thread_of_a_post(simulation)
    assert f"<#{simulation.text.id}> is paused" in (await simulation.slash("weekly pause", channel=thread)).text
    last = (await simulation.app.repositories.deliveries.last([(await simulation.subscription()).id], *State)).values()
    assert len(last) == 1
