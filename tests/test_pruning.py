"""Pruning: the rows it deletes, and that it changes no output and no choice of a topic."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fakes import CHANNEL, MONDAY, Bot
from weekbot.bot.weekly_overview import SHOWN_STATES
from weekbot.db.database import Database
from weekbot.db.tables import deliveries as deliveries_table
from weekbot.db.tables import steps as steps_table
from weekbot.domain.deliveries import State
from weekbot.store import pruning
from weekbot.store.deliveries import Deliveries
from weekbot.store.pruning import DELIVERIES_KEPT, REST, STEPS_KEPT, Pruning
from weekbot.store.reports.topic_shortage import ShortageReport
from weekbot.store.republication import Republication
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions

TOPICS = ("flask", "django", "dash", "numpy")
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
WEEKS_KEPT = DELIVERIES_KEPT // WEEK
LONG_AGO = MONDAY - DELIVERIES_KEPT - WEEK


async def prune(pruning_job: Pruning, now: datetime = MONDAY) -> list[int]:
    """Delete batches until the pruning rests; return the number of rows each call deleted."""
    counts = []
    while not pruning_job.is_resting(now):
        counts.append(await pruning_job.delete_batch(now))
    return counts


async def put(bot: Bot, round_: int = 1, channel_id: int = CHANNEL) -> int:
    """Store a subscription in that round; return its ID."""
    subscription = await bot.subscribe(channel_id)
    await bot.process.subscriptions.change(channel_id, lambda current: replace(current, round=round_))
    return subscription.id


def delivery(subscription_id: int, slot: datetime, **values: Any) -> dict[str, Any]:
    """Return a row of the ledger; by default, it was sent in the first round."""
    id_ = f"{subscription_id}-{slot:%Y%m%d%H%M}"
    row = {"id": id_, "subscription_id": subscription_id, "slot": slot, "topic": "flask", "round": 1, "state": "sent"}
    flags = {"scheduled": True, "chosen": False, "attempts": 1}
    sent = {"message_id": int(slot.timestamp()), "message_channel_id": CHANNEL, "sent_at": slot}
    not_sent = dict.fromkeys(sent)
    rest = {"retry_at": None, "correct_at": None}
    return row | flags | rest | (sent if values.get("state", State.SENT) is State.SENT else not_sent) | values


def step(delivery_id: str, at: datetime, **values: Any) -> dict[str, Any]:
    row = {"delivery_id": delivery_id, "name": "pin", "done": True, "attempts": 1, "retry_at": at, "reason": None}
    return row | values


async def add(database: Database, table: Table, rows: list[dict[str, Any]]) -> None:
    async with database.write() as connection:
        await connection.execute(insert(table), rows)


async def delivered(database: Database, subscription_id: int, slot: datetime, **values: Any) -> str:
    """Add a delivery; return its ID."""
    row = delivery(subscription_id, slot, **values)
    await add(database, deliveries_table, [row])
    return str(row["id"])


async def followed_up(database: Database, delivery_id: str, at: datetime, **values: Any) -> None:
    await add(database, steps_table, [step(delivery_id, at, **values)])


async def ids(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.scalars(select(deliveries_table.c.id)))


async def step_owners(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.scalars(select(steps_table.c.delivery_id)))


# Deliveries


async def test_an_old_post_is_deleted_after_its_topic_was_posted_again(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    await delivered(database, subscription_id, LONG_AGO)
    again = await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    await prune(Pruning(database))
    assert await ids(database) == {again}


async def test_a_channels_latest_post_of_a_topic_is_kept(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    flask = await delivered(database, subscription_id, LONG_AGO)
    django = await delivered(database, subscription_id, MONDAY - WEEK, topic="django", round=2)
    await prune(Pruning(database))
    assert await ids(database) == {flask, django}


async def test_posts_in_other_channels_do_not_count(bot: Bot, database: Database) -> None:
    one, other = await put(bot, 2), await put(bot, 2, CHANNEL + 1)
    old = await delivered(database, one, LONG_AGO)
    new = await delivered(database, other, MONDAY - WEEK, round=2)
    await prune(Pruning(database))
    assert await ids(database) == {old, new}


@pytest.mark.parametrize("state", [State.PENDING, State.SENT, State.SKIPPED, State.UNVERIFIED])
async def test_topics_used_in_the_current_round_are_kept(bot: Bot, database: Database, state: State) -> None:
    subscription_id = await put(bot)
    old = await delivered(database, subscription_id, LONG_AGO, state=state)
    new = await delivered(database, subscription_id, MONDAY - WEEK)
    await prune(Pruning(database))
    assert await ids(database) == {old, new}


@pytest.mark.parametrize("state", [State.SKIPPED, State.UNVERIFIED, State.MISSED, State.BLOCKED])
async def test_an_unposted_delivery_of_an_earlier_round_is_deleted_once_the_status_shows_a_later_one(
    bot: Bot, database: Database, state: State
) -> None:
    subscription_id = await put(bot, round_=2)
    old = await delivered(database, subscription_id, LONG_AGO, state=state)
    await prune(Pruning(database))
    assert await ids(database) == {old}
    blocked = await delivered(database, subscription_id, MONDAY - WEEK, state=State.BLOCKED, round=2)
    await prune(Pruning(database))
    assert await ids(database) == {blocked}


@pytest.mark.parametrize("state", [State.BLOCKED, State.MISSED])
async def test_two_years_of_failures_are_kept(bot: Bot, database: Database, state: State) -> None:
    subscription_id = await put(bot)
    weeks = range(1, WEEKS_KEPT + 50)
    failed = [delivery(subscription_id, MONDAY - week * WEEK, state=state) for week in weeks]
    await add(database, deliveries_table, failed)
    await prune(Pruning(database))
    assert len(await ids(database)) == WEEKS_KEPT


async def test_a_pending_delivery_is_kept(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    pending = await delivered(database, subscription_id, LONG_AGO, state=State.PENDING, retry_at=MONDAY)
    new = await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    await prune(Pruning(database))
    assert await ids(database) == {pending, new}


async def test_a_post_that_waits_for_republication_is_kept(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    marked = await delivered(database, subscription_id, LONG_AGO, correct_at=MONDAY)
    new = await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    assert sum(await prune(Pruning(database))) == 0
    assert await ids(database) == {marked, new}
    async with database.write() as connection:
        await connection.execute(update(deliveries_table).values(correct_at=None))
    await prune(Pruning(database))
    assert await ids(database) == {new}


async def test_deliveries_are_kept_for_exactly_two_years(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    kept = await delivered(database, subscription_id, MONDAY - DELIVERIES_KEPT)
    new = await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    await prune(Pruning(database))
    assert await ids(database) == {kept, new}
    await prune(Pruning(database), MONDAY + timedelta(minutes=1))
    assert await ids(database) == {new}


# Steps


async def test_finished_steps_are_deleted_after_a_month_and_open_ones_are_kept(bot: Bot, database: Database) -> None:
    subscription_id, month_ago = await put(bot), MONDAY - STEPS_KEPT - timedelta(days=1)
    done = await delivered(database, subscription_id, MONDAY - 3 * WEEK)
    still_open = await delivered(database, subscription_id, MONDAY - 2 * WEEK)
    recent = await delivered(database, subscription_id, MONDAY - WEEK)
    await followed_up(database, done, month_ago)
    await followed_up(database, still_open, month_ago, done=False)
    await followed_up(database, recent, MONDAY - WEEK)
    await prune(Pruning(database))
    assert await step_owners(database) == {still_open, recent}
    assert len(await ids(database)) == 3


async def test_pruning_continues_until_all_finished_steps_are_deleted(
    bot: Bot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_SIZE", 1)
    subscription_id = await put(bot)
    for days in range(31, 36):
        await followed_up(database, await delivered(database, subscription_id, MONDAY - days * DAY), LONG_AGO)
    await prune(Pruning(database))
    assert not await step_owners(database)


async def test_the_failed_step_of_the_last_post_is_kept_until_the_next_post(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot)
    last = await delivered(database, subscription_id, LONG_AGO)
    await followed_up(database, last, LONG_AGO, reason="the channel has 50 pins")
    await prune(Pruning(database))
    assert await Steps(database).failures([last]) == {last: ["the channel has 50 pins"]}
    await delivered(database, subscription_id, MONDAY - WEEK, state=State.SKIPPED)  # the status doesn't show it
    await prune(Pruning(database))
    assert await step_owners(database) == {last}
    await delivered(database, subscription_id, MONDAY - timedelta(days=1), topic="django")
    await prune(Pruning(database))
    assert not await step_owners(database)


# Unchanged output


async def fill(bot: Bot, database: Database, seed: int, channels: int = 5) -> None:
    """Fill the ledger with four years of deliveries in random states; only recent ones are pending."""
    rng = random.Random(seed)  # noqa: S311 - repeatable
    for channel_id in range(CHANNEL, CHANNEL + channels):
        rows, subscription_id, round_ = [], await put(bot, channel_id=channel_id), 1
        for weeks in range(2 * WEEKS_KEPT, 0, -rng.randint(3, 9)):
            round_ += rng.random() < 0.2
            state = rng.choice([State.SENT, *State] if weeks < 4 else [State.SENT, State.SENT, *list(State)[1:]])
            values = {"topic": rng.choice(TOPICS), "round": round_, "state": state}
            rows.append(delivery(subscription_id, MONDAY - weeks * WEEK, **values))
        sent = [row for row in rows if row["state"] is State.SENT and rng.random() < 0.5]
        reasons = [rng.choice([None, "not allowed"]) for _ in sent]
        await add(database, deliveries_table, rows)
        followed = zip(sent, reasons, strict=True)
        await add(database, steps_table, [step(row["id"], row["slot"], reason=reason) for row, reason in followed])
        await put(bot, round_ + rng.randint(0, 1), channel_id)


async def everything_shown(database: Database, channels: int = 5) -> list[object]:
    """Return everything that is read from the ledger, except the posts to republish."""
    deliveries, seen = Deliveries(database), []
    for channel_id in range(CHANNEL, CHANNEL + channels):
        subscription = await Subscriptions(database).of_channel(channel_id)
        assert subscription
        last = await deliveries.last([subscription.id], *SHOWN_STATES)
        topics = await deliveries.topics_of(channel_id)
        seen += [
            await deliveries.used_topics(subscription),
            last,
            await deliveries.last([subscription.id], State.SENT),
            await Steps(database).failures([each.id for each in last.values()]),
            {topic: await deliveries.last_of_topic(channel_id, [topic]) for topic in topics},
        ]
    return [
        *seen,
        await ShortageReport(database).short("everything", TOPICS, 10),
        await Republication(database).posted_topics(),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_pruning_changes_nothing_that_is_read_from_the_ledger(bot: Bot, database: Database, seed: int) -> None:
    await fill(bot, database, seed)
    before, rows = await everything_shown(database), len(await ids(database))
    assert sum(await prune(Pruning(database))) > 20
    assert len(await ids(database)) < rows
    assert await everything_shown(database) == before


async def test_pruning_does_not_change_the_order_of_topics(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "DELIVERIES_KEPT", 5 * WEEK)
    bot.live_library.put(*TOPICS)
    await bot.subscribe()
    for _ in range(18):
        await bot.weeks(1)
        await prune(Pruning(bot.process.database), bot.clock.now())
    assert bot.topics() == [TOPICS[number % 4] for number in range(18)]
    assert len(await ids(bot.process.database)) == 6


# Batches


async def test_pruning_uses_small_transactions_and_ends(
    bot: Bot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(bot, database, seed=7)
    whole = await everything_shown(database)
    monkeypatch.setattr(pruning, "BATCH_SIZE", 5)
    monkeypatch.setattr(pruning, "SLICE_SIZE", 2)
    counts = await prune(Pruning(database))
    assert max(counts) <= 10
    assert len([count for count in counts if count]) > 5
    assert await everything_shown(database) == whole
    assert await prune(Pruning(database)) == [0, 0, 0, 0]  # three slices of five, and their end


async def test_a_new_process_continues_an_interrupted_pruning(
    bot: Bot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(bot, database, seed=7)
    monkeypatch.setattr(pruning, "BATCH_SIZE", 5)
    first = Pruning(database)
    deleted_first = [await first.delete_batch(MONDAY) for _ in range(3)]
    deleted_later = await prune(Pruning(database))
    assert all(deleted_first)
    assert sum(deleted_later)
    assert sum(await prune(Pruning(database))) == 0


async def test_pruning_rests_for_a_day(bot: Bot, database: Database) -> None:
    subscription_id, pruning_job = await put(bot, round_=2), Pruning(database)
    await prune(pruning_job)
    await delivered(database, subscription_id, LONG_AGO)
    await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    assert await pruning_job.delete_batch(MONDAY + REST - timedelta(minutes=1)) == 0
    assert await pruning_job.delete_batch(MONDAY + REST) == 1


async def test_pruning_writes_nothing_if_there_is_nothing_to_delete(bot: Bot, database: Database) -> None:
    await put(bot)
    await delivered(database, 1, MONDAY - WEEK)
    written = 0
    original = database.write

    def counting_write() -> Any:
        nonlocal written
        written += 1
        return original()

    database.write = counting_write  # type: ignore[method-assign]
    await prune(Pruning(database))
    assert written == 0


async def test_a_post_marked_for_republication_during_pruning_is_kept(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot, round_=2)
    await delivered(database, subscription_id, LONG_AGO)
    await delivered(database, subscription_id, MONDAY - WEEK, round=2)
    before, write = await ids(database), database.write

    @asynccontextmanager
    async def marked_first() -> AsyncIterator[AsyncConnection]:
        async with write() as connection:
            await connection.execute(update(deliveries_table).values(correct_at=MONDAY))
        async with write() as connection:
            yield connection

    database.write = marked_first  # type: ignore[method-assign]
    await prune(Pruning(database))
    assert await ids(database) == before
