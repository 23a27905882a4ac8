"""`/weekly status` says how late posts may be if many servers share their slot, and never waits for that."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import time, timedelta
from functools import partial
from pathlib import Path

import pytest

from fakes import SLOT, FakeClock
from simulation import Simulation, simulated
from test_cards import subscription as new_subscription
from test_turn_order import BUSY, QUIET, Moderator, channels_of, subscribe_all
from weekbot.bot.lateness import Lateness
from weekbot.bot.searches import MAX_PENDING
from weekbot.db.database import Database
from weekbot.domain import subscription_rules
from weekbot.store.reports.slot_load import posts_until_turn
from weekbot.store.subscriptions import Subscriptions

RATE = 48
SUBSCRIPTION = new_subscription(1)
MANY = 1000


@pytest.fixture
def clock() -> FakeClock:
    clock = FakeClock()
    clock.instant = SUBSCRIPTION.next_slot.instant - timedelta(days=1)
    return clock


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, FakeClock()) as running:
        yield running


async def estimate(posts: int, clock: FakeClock) -> timedelta | None:
    async def posts_until_turn(ids: Collection[int], limit: int) -> Mapping[int, int]:
        return {id_: min(posts, limit) for id_ in ids}

    return (await Lateness(posts_until_turn, RATE, clock).of([SUBSCRIPTION])).get(SUBSCRIPTION.id)


@pytest.mark.parametrize(("posts", "minutes"), [(1, None), (5 * 60 * RATE, None), (12 * 60 * RATE, 12), (10**6, 60)])
async def test_a_lateness_of_more_than_five_minutes_is_reported_up_to_an_hour(
    clock: FakeClock, posts: int, minutes: int | None
) -> None:
    assert await estimate(posts, clock) == (timedelta(minutes=minutes) if minutes else None)


async def test_a_slot_that_has_begun_counts_from_its_instant(clock: FakeClock) -> None:
    clock.instant = SUBSCRIPTION.next_slot.instant + timedelta(minutes=4)
    assert await estimate(12 * 60 * RATE, clock) == timedelta(minutes=16)


async def test_a_database_that_hangs_delays_no_status(clock: FakeClock) -> None:
    searches = 0

    async def hanging(_: Collection[int], __: int) -> Mapping[int, int]:
        nonlocal searches
        searches += 1
        await asyncio.Event().wait()
        return {}

    lateness, started = Lateness(hanging, RATE, clock), asyncio.get_running_loop().time()
    assert [await lateness.of([SUBSCRIPTION]) for _ in range(MAX_PENDING + 5)] == [{}] * (MAX_PENDING + 5)
    assert asyncio.get_running_loop().time() - started < 2
    assert searches == MAX_PENDING
    await lateness.stop()


async def test_a_failing_database_breaks_no_status(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    async def failing(_: Collection[int], __: int) -> Mapping[int, int]:
        raise OSError("disk full")

    caplog.set_level(logging.INFO, "weekbot")
    assert await Lateness(failing, RATE, clock).of([SUBSCRIPTION]) == {}
    assert "the status is shown without the expected lateness" in caplog.text


async def test_posts_are_counted_up_to_the_end_of_a_channels_turn(
    database: Database, subscriptions: Subscriptions
) -> None:
    await subscribe_all(subscriptions, [*channels_of(BUSY, 5), *channels_of(QUIET, 1), *channels_of(3, 2)])
    await subscribe_all(subscriptions, channels_of(4, 3), at=time(10))
    await Moderator(subscriptions).change(301, subscription_rules.pause)
    found = {each.id: each.channel_id for guild_id in range(1, 5) for each in await subscriptions.of_guild(guild_id)}
    count = partial(posts_until_turn, database, list(found))
    counts = {found[id_]: posts for id_, posts in (await count(MANY)).items()}
    assert counts == {100: 3, 101: 4, 102: 5, 103: 6, 104: 7, 200: 3, 300: 3, 400: 1, 401: 2, 402: 3}
    assert max((await count(4)).values()) == 4
    assert (await subscriptions.due(SLOT, 1)) != []


@pytest.mark.parametrize(
    ("minutes", "sentence"),
    [
        (11.2, "-# Posts may be up to 12 minutes late: many servers post at this time."),
        (60, "-# Posts may be more than an hour late: many servers post at this time."),
    ],
)
async def test_the_status_shows_the_lateness(simulation: Simulation, minutes: float, sentence: str) -> None:
    await simulation.slash("weekly subscribe")
    assert "many servers" not in (await simulation.slash("weekly status")).text
    simulation.app.lateness._rate = 1 / timedelta(minutes=minutes).total_seconds()
    assert sentence in (await simulation.slash("weekly status")).text
