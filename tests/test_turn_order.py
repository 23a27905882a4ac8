"""Among posts that are due at the same instant, each server's first comes before any server's second, and so on."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, update

from fakes import MONDAY, SLOT
from test_store import planning
from weekbot.db.database import Database
from weekbot.db.tables import guilds
from weekbot.db.tables import subscriptions as table
from weekbot.domain import subscription_rules
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.reports.slot_load import posts_until_turn
from weekbot.store.subscriptions import Change, Subscriptions

BUSY, QUIET = 1, 2
"""Two servers; a channel's id is a hundred times its server's plus a number."""
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
BATCH = 3
LONDON = "Europe/London"  # in winter the same time as UTC


@dataclass(frozen=True)
class Moderator:
    """Subscribes a channel or changes its subscription, if it has one."""

    subscriptions: Subscriptions
    now: datetime = MONDAY

    async def subscribe(self, channel_id: int, **given: Any) -> None:
        def build(current: Subscription | None, zone: str) -> Subscription:
            return subscription_rules.subscribe(current, guild_id, channel_id, zone, Choices(**given), self.now)

        guild_id = channel_id // 100
        await self.subscriptions.put(guild_id, channel_id, build)

    async def change(self, channel_id: int, change: Change) -> None:
        current = await self.subscriptions.of_channel(channel_id)
        if current and current.active:
            await self.subscriptions.change(channel_id, change)

    async def act(self, action: "Action") -> None:
        channel_id = action.guild_id * 100 + action.number
        match action.kind:
            case "pause":
                await self.change(channel_id, subscription_rules.pause)
            case "resume":
                await self.change(channel_id, partial(subscription_rules.resume, now=self.now))
            case "unsubscribe":
                await self.change(channel_id, subscription_rules.unsubscribe)
            case zone:
                await self.subscribe(channel_id, at=time(action.hour), timezone=zone)


@dataclass(frozen=True)
class Action:
    """A moderator's action, in a week, before its slots or between the claims of a slot; `kind` may be a zone."""

    week: int
    during: bool
    guild_id: int
    number: int
    kind: str
    hour: int = 9


ACTIONS = st.builds(
    Action,
    week=st.integers(0, 2),
    during=st.booleans(),
    guild_id=st.integers(1, 4),
    number=st.integers(0, 6),
    kind=st.sampled_from(["UTC", "UTC", "UTC", LONDON, "pause", "resume", "unsubscribe"]),
    hour=st.sampled_from([9, 9, 9, 10]),
)


async def claim_all(
    subscriptions: Subscriptions, deliveries: Deliveries, now: datetime, changes: Sequence[Action] = ()
) -> list[int]:
    """Claim all that is due, and return the channels; after the first batch, a moderator makes the changes.

    Checks that each post goes to one of the servers that have had the fewest, among those with channels left.
    """
    order, had = list[int](), Counter[int]()
    while due := await subscriptions.due(now, 1000):
        left = Counter(each.guild_id for each in due)
        batch = due[:BATCH]
        for each in batch:
            assert had[each.guild_id] == min(had[guild_id] for guild_id in +left)
            had[each.guild_id] += 1
            left[each.guild_id] -= 1
        claimed = await deliveries.claim_due(batch, planning(), now)
        assert len(claimed) == len(batch)
        order += [each.channel_id for each in batch]
        for action in changes:
            await Moderator(subscriptions, now).act(action)
        changes = ()
    return order


async def subscribe_all(subscriptions: Subscriptions, channels: Collection[int], **given: Any) -> None:
    for channel_id in channels:
        await Moderator(subscriptions).subscribe(channel_id, **given)


def channels_of(guild_id: int, count: int) -> range:
    return range(guild_id * 100, guild_id * 100 + count)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    [
        Action(0, False, guild, number, "UTC", 9 + (guild == QUIET and number < 2))
        for guild in (1, 2)
        for number in range(3)
    ]
)
@given(st.lists(ACTIONS, max_size=40))
async def test_each_post_goes_to_a_server_that_has_had_the_fewest(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries, actions: list[Action]
) -> None:
    async with database.write() as connection:
        await connection.execute(delete(guilds))
    for week in range(3):
        monday = MONDAY + week * WEEK
        for action in actions:
            if action.week == week and not action.during:
                await Moderator(subscriptions, monday).act(action)
        changes = [each for each in actions if each.week == week and each.during]
        await claim_all(subscriptions, deliveries, monday + HOUR, changes)
        await claim_all(subscriptions, deliveries, monday + 2 * HOUR)


async def test_a_channel_added_after_many_at_other_times_is_its_servers_first(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await subscribe_all(subscriptions, channels_of(BUSY, 20))
    await subscribe_all(subscriptions, channels_of(QUIET, 30), at=time(10))
    await subscribe_all(subscriptions, [QUIET * 100 + 50])
    order = await claim_all(subscriptions, deliveries, SLOT)
    assert QUIET * 100 + 50 in order[:2]
    assert len(order) == 21


async def test_a_channel_whose_servers_others_were_paused_is_its_servers_first(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await subscribe_all(subscriptions, [*channels_of(BUSY, 20), *channels_of(QUIET, 10)])
    *others, last = channels_of(QUIET, 10)
    for channel_id in others:
        await Moderator(subscriptions).change(channel_id, subscription_rules.pause)
    assert last in (await claim_all(subscriptions, deliveries, SLOT))[:2]


async def test_a_server_gains_no_turn_by_pausing_a_channel_during_the_slot(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await subscribe_all(subscriptions, [*channels_of(BUSY, 5), *channels_of(QUIET, 5), *channels_of(3, 5)])
    order = await claim_all(subscriptions, deliveries, SLOT, [Action(0, True, BUSY, 1, "pause")])
    guild_ids = [channel_id // 100 for channel_id in order[:6]]
    assert sorted(guild_ids[:3]) == sorted(guild_ids[3:]) == [BUSY, QUIET, 3]


async def test_ordinals_of_an_earlier_version_are_corrected_by_the_servers_next_change(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await subscribe_all(subscriptions, [*channels_of(BUSY, 20), *channels_of(QUIET, 1)])
    async with database.write() as connection:
        await connection.execute(update(table).where(table.c.guild_id == QUIET).values(ordinal=7))
    await Moderator(subscriptions).subscribe(QUIET * 100, thread=True)
    assert QUIET * 100 in (await claim_all(subscriptions, deliveries, SLOT))[:2]


async def test_sqlite_searches_only_the_claimed_subscriptions_and_their_servers(tmp_path: Path) -> None:
    """Its planner has no statistics, and would prefer an index of all that are active, or of all that were posted."""
    file = tmp_path / "weekbot.db"
    async with Database(f"sqlite:///{file}") as database:
        await database.upgrade()
        subscriptions = Subscriptions(database)
        await subscribe_all(subscriptions, [guild_id * 100 for guild_id in range(1, 51)])
        due = await subscriptions.due(SLOT, 50)
        statements: list[tuple[str, Any]] = []

        def record(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
            statements.append((statement, parameters))

        event.listen(database.engine.sync_engine, "before_cursor_execute", record)
        assert len(await Deliveries(database).claim_due(due, planning(), SLOT)) == 50
        await posts_until_turn(database, [each.id for each in due], 1000)
    with closing(sqlite3.connect(file)) as connection:
        queries = [(statement, values) for statement, values in statements if statement.startswith("SELECT")]
        plans = [row[3] for each in queries for row in connection.execute(f"EXPLAIN QUERY PLAN {each[0]}", each[1])]
    assert len(queries) > 3
    assert [line for line in plans if "ix_deliveries_state" in line] == []
    assert [line for line in plans if "(active=?" in line and "next_slot=?" not in line] == []
