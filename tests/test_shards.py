"""The assignment of servers to shards: the database computes the same as Discord."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Engine, create_engine, insert, select
from sqlalchemy.engine import make_url

from fakes import MONDAY, Bot
from test_attempts import told_of
from test_store import LEASE, subscribed
from weekbot.db.database import Database
from weekbot.db.tables import guilds
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.notices import NoticeHandler
from weekbot.delivery.worker import Worker
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain.notices import Notice
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import PREFLIGHT_LEAD
from weekbot.store.notices import Notices, of_shards
from weekbot.store.rows import on_shards
from weekbot.store.subscriptions import Subscriptions

SNOWFLAKES = st.integers(min_value=0, max_value=2**63 - 1)
FIRST, SECOND = Shards(frozenset({0}), 2), Shards(frozenset({1}), 2)
ON_FIRST, ON_SECOND = 2 << 22, 1 << 22
"""IDs of servers on each shard."""


@st.composite
def all_shards(draw: st.DrawFn) -> Shards:
    count = draw(st.integers(min_value=1, max_value=300))
    return Shards(draw(st.frozensets(st.integers(min_value=0, max_value=count - 1), min_size=1)), count)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    parsed = make_url(url)
    made = create_engine(parsed if parsed.drivername == "sqlite" else parsed.set(drivername="postgresql+psycopg"))
    yield made
    made.dispose()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shards=all_shards(), guild_ids=st.sets(SNOWFLAKES, min_size=1, max_size=50))
def test_the_database_and_discord_agree_on_the_shard_of_a_server(
    engine: Engine, shards: Shards, guild_ids: set[int]
) -> None:
    with engine.connect() as connection:
        connection.execute(insert(guilds), [{"guild_id": each, "timezone": "UTC"} for each in guild_ids])
        found = set(connection.scalars(select(guilds.c.guild_id).where(on_shards(shards, guilds.c.guild_id))))
        connection.rollback()
    assert found == {each for each in guild_ids if shards.of(each) in shards.ids}


async def test_preflight_checks_are_divided_by_shard(subscriptions: Subscriptions) -> None:
    mine = await subscribed(subscriptions, 11, ON_FIRST)
    theirs = await subscribed(subscriptions, 12, ON_SECOND)
    ahead = mine.next_slot.instant - PREFLIGHT_LEAD

    assert await subscriptions.due_for_check(ahead, 10, FIRST) == [mine]
    assert await subscriptions.due_for_check(ahead, 10, SECOND) == [theirs]
    assert len(await subscriptions.due_for_check(ahead, 10, ALL)) == 2


async def test_notices_are_claimed_by_shard(database: Database, subscriptions: Subscriptions) -> None:
    notices = Notices(database)
    await told_of(database, await subscribed(subscriptions, 11, ON_FIRST))

    assert await notices.next_at(of_shards(SECOND)) is None
    assert await notices.claim(MONDAY, LEASE, 10, of_shards(SECOND)) == []
    assert await notices.next_at(of_shards(FIRST)) == MONDAY
    assert [notice.subscription.channel_id for notice in await notices.claim(MONDAY, LEASE, 10, of_shards(FIRST))] == [
        11
    ]
    assert await notices.next_at(of_shards(FIRST)) == await notices.next_at(of_shards(ALL)) == MONDAY + LEASE


async def test_notices_of_other_shards_do_not_use_up_the_limit(
    database: Database, subscriptions: Subscriptions
) -> None:
    for channel_id in range(20, 25):
        await told_of(database, await subscribed(subscriptions, channel_id, ON_SECOND))
    await told_of(database, await subscribed(subscriptions, 11, ON_FIRST))

    (notice,) = await Notices(database).claim(MONDAY, LEASE, 1, of_shards(FIRST))

    assert notice.subscription.channel_id == 11


def worker(notices: Notices, bot: Bot, shards: Shards) -> Worker[Notice]:
    return Worker(NoticeHandler(notices, bot.process.notice_sender, bot.clock, lambda: shards), bot.clock)


async def test_a_notice_of_another_shard_does_not_keep_the_dispatcher_busy(bot: Bot) -> None:
    await told_of(bot.process.database, await bot.subscribe(guild_id=ON_SECOND))
    polls, rate_limiter = 0, RateLimiter(10_000)

    class CountingNotices(Notices):
        async def next_at(self, which: ColumnElement[bool] | None = None) -> datetime | None:
            nonlocal polls
            polls += 1
            assert polls < 10
            return await super().next_at(which)

    notifier = worker(CountingNotices(bot.process.database), bot, FIRST)
    await Dispatcher([notifier], lambda: rate_limiter, bot.clock).run()
    assert bot.process.notice_sender.sent == []

    notifier = worker(CountingNotices(bot.process.database), bot, SECOND)
    await Dispatcher([notifier], lambda: rate_limiter, bot.clock).run()
    assert len(bot.process.notice_sender.sent) == 1
