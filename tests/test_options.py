"""Options of `/weekly` that depend on the channel or on the content, which can change after a subscription."""

from collections.abc import AsyncIterator

import discord
import pytest

from fakes import FakeClock
from places import Place, online
from weekbot.content.library import Library
from weekbot.discord_io.channel_checks import check_fit
from weekbot.domain.subscription_rules import check_start
from weekbot.domain.subscriptions import Options
from weekbot.runtime.errors import WeekbotError


@pytest.fixture
async def place(clock: FakeClock) -> AsyncIterator[Place]:
    async with online(clock) as place:
        yield place


def test_the_start_topic_must_be_in_the_track(library: Library) -> None:
    check_start(library, Options("web", start_topic="flask"))
    with pytest.raises(WeekbotError, match="`numpy` isn't in the track"):
        check_start(library, Options("web", start_topic="numpy"))


def test_a_removed_track_counts_as_everything(library: Library) -> None:
    check_start(library, Options("gone", start_topic="numpy"))


def test_a_renamed_start_topic_is_found_and_a_removed_one_is_accepted(
    library: Library,
) -> None:
    check_start(library, Options("web", start_topic="pallets-flask"))
    with pytest.raises(WeekbotError, match="`flask` isn't in the track"):
        check_start(library, Options("data", start_topic="pallets-flask"))
    check_start(library, Options("web", start_topic="nothing"))


@pytest.mark.parametrize(("tags", "refused"), [([], True), (["python"], False)])
async def test_a_forum_that_requires_a_tag_must_have_one_that_the_bot_may_use(
    place: Place, tags: list[str], refused: bool
) -> None:
    forum = place.guild.add_forum("showcase", tags, requires_tag=True)
    await place.knows(forum)
    channel = place.known.get_channel(forum.id)
    assert isinstance(channel, discord.ForumChannel)
    if refused:
        with pytest.raises(WeekbotError, match="requires a tag, but has none that I can use"):
            check_fit(channel, Options("web"))
    else:
        check_fit(channel, Options("web"))
