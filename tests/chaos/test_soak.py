"""Long runs: three weeks with all kinds of faults, and half a year without; one post a week in each channel."""

from collections import defaultdict
from datetime import timedelta

import pytest

from discord_server import Channel
from discord_server.fault import NO_ANSWER, Chance, FaultMix
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.schedule import WEEK

from .harness import MAX_PAUSE_MINUTES, POST_MARK, SLOT, Place
from .moments import random_moment, run_until

pytestmark = pytest.mark.chaos

WEEKS, KILLS = 3, 4
HALF_A_YEAR = 24  # weeks
POSTS = r"^/channels/\d+/(messages|threads)$"
RARE_FAULTS = (
    Chance(0.03, NO_ANSWER),
    Chance(0.03, NO_ANSWER, takes_effect=True),
    Chance(0.03, (500, 502, 503, 504)),
    Chance(0.03, (500, 502, 503, 504), takes_effect=True),
    Chance(0.02, (429,)),
    Chance(0.003, NO_ANSWER, held=True),
)


async def test_three_weeks_with_faults_have_three_topics_in_order(place: Place, library: Library) -> None:
    guilds = place.add_channels(guilds=6, channels=8)
    place.channels += [guild.add_forum(name) for guild in guilds for name in ("one", "other")]
    texts, forums = place.channels[:48], place.channels[48:]
    await place.subscribe(texts[:24])
    await place.subscribe(texts[24:], thread=True, pin=True)
    await place.subscribe(forums)
    place.server.latency = 0.05
    place.server.rest.faults.mixes.append(FaultMix(place.random.random(), "POST", POSTS, RARE_FAULTS))

    for week in range(WEEKS):
        place.clock.start(SLOT + week * WEEK)
        await run_bad_week(place)
        async with place.running():
            await place.server.drop(resumable=False)
            await place.settled(SLOT + week * WEEK)

    in_order = list(library.tracks[EVERYTHING].topics[:WEEKS])
    expected = {channel.id: in_order for channel in place.channels}
    assert {channel.id: topics_of(place, channel) for channel in place.channels} == expected
    assert await recorded_topics(place) == expected
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}


@pytest.mark.parametrize("restarts", [True, False], ids=["restarted each week", "one process"])
async def test_half_a_year_has_each_topic_once_and_constant_memory(
    place: Place, library: Library, restarts: bool
) -> None:
    place.add_channels(guilds=10, channels=10)
    await place.subscribe(place.channels)
    memory: list[int] = []
    for weeks in [[week] for week in range(HALF_A_YEAR)] if restarts else [range(HALF_A_YEAR)]:
        place.clock.start(SLOT + weeks[0] * WEEK - timedelta(hours=1))
        async with place.running() as bot:
            for week in weeks:
                place.clock.start(SLOT + week * WEEK)
                await place.settled(SLOT + week * WEEK)
                memory.append(bot.memory())

    in_order = list(library.tracks[EVERYTHING].topics[:HALF_A_YEAR])
    expected = {channel.id: in_order for channel in place.channels}
    assert {channel.id: topics_of(place, channel) for channel in place.channels} == expected
    assert {entry.state for entry in await place.ledger.entries()} == {"sent"}
    print(f"KiB each week: {memory}")
    assert max(memory[-4:]) < 1.05 * max(memory[:4])


async def run_bad_week(place: Place) -> None:
    """Kill several bots, and run another one during an outage of Discord."""
    for _ in range(KILLS):
        moment = random_moment(place.random, 40, ["POST"])
        print(f"{place.clock.now()}: {moment}")
        await run_until(moment, place)
        place.clock.advance(seconds=place.random.choice([1, 20, 50, 200]))
    async with place.running(), place.outage():
        await place.minutes(10)
    place.clock.advance(minutes=MAX_PAUSE_MINUTES)


def topics_of(place: Place, channel: Channel) -> list[str]:
    """Return the topics of the posts, the oldest first."""
    return [
        custom_id.rpartition(":")[2]
        for post in place.posts(channel)
        for custom_id in post.custom_ids
        if custom_id.startswith(POST_MARK)
    ]


async def recorded_topics(place: Place) -> dict[int, list[str]]:
    topics = defaultdict(list)
    for entry in await place.ledger.entries():
        topics[entry.channel_id].append(entry.topic)
    return topics
