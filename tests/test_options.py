"""Options of `/weekly` that depend on the content, which changes under a subscription, or on the channel."""

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


def test_a_topic_to_begin_with_is_in_the_track(library: Library) -> None:
    check_start(library, Options("web", start_topic="flask"))
    with pytest.raises(WeekbotError, match="`numpy` isn't in the track"):
        check_start(library, Options("web", start_topic="numpy"))


def test_a_track_that_has_left_the_content_goes_on_as_everything(library: Library) -> None:
    check_start(library, Options("gone", start_topic="numpy"))


def test_a_topic_to_begin_with_is_known_by_its_new_name_and_forgiven_once_it_has_left(
    library: Library,
) -> None:
    check_start(library, Options("web", start_topic="pallets-flask"))
    with pytest.raises(WeekbotError, match="`flask` isn't in the track"):
        check_start(library, Options("data", start_topic="pallets-flask"))
    check_start(library, Options("web", start_topic="nothing"))


@pytest.mark.parametrize(("tags", "told"), [([], True), (["python"], False)])
async def test_a_forum_that_requires_a_tag_is_asked_for_one_that_the_bot_may_use(
    place: Place, tags: list[str], told: bool
) -> None:
    forum = place.guild.add_forum("showcase", tags, requires_tag=True)
    await place.knows(forum)
    channel = place.known.get_channel(forum.id)
    assert isinstance(channel, discord.ForumChannel)
    if told:
        with pytest.raises(WeekbotError, match="requires a tag, but has none that I can use"):
            check_fit(channel, Options("web"))
    else:
        check_fit(channel, Options("web"))
