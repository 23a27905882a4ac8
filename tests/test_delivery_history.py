"""The attempts recorded for each delivery, and queries of the delivery history."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, Bot
from test_delivery import CUT, DOWN, DOWN_FOR_HOURS, REFUSED, UNREADABLE
from test_pruning import delivery, prune, put
from test_store import LEASE, claimed, taken
from weekbot.db.database import Database
from weekbot.db.tables import attempts as attempts_table
from weekbot.db.tables import deliveries as deliveries_table
from weekbot.delivery.errors import AmbiguousError
from weekbot.delivery.posts import SETTLED_AFTER
from weekbot.domain.deliveries import Attempt, Outcome, State
from weekbot.domain.planning import NOT_RUNNING
from weekbot.store.deliveries import Deliveries
from weekbot.store.pruning import ATTEMPTS_KEPT, Pruning
from weekbot.store.reports import delivery_history
from weekbot.store.reports.delivery_history import DeliveryFilter, DeliveryRecord, latest_deliveries
from weekbot.store.subscriptions import Subscriptions

TROUBLE = AmbiguousError("Discord is having problems (503)")
LONGEST_FIRST_PAUSE = timedelta(seconds=3)
NO_OUTCOME = (None, None)


async def entries(database: Database, filters: DeliveryFilter | None = None, limit: int = 100) -> list[DeliveryRecord]:
    return [entry async for entry in latest_deliveries(database, filters or DeliveryFilter(), limit)]


async def only_record(database: Database) -> DeliveryRecord:
    [entry] = await entries(database)
    return entry


async def outcomes(bot: Bot) -> list[tuple[Outcome | None, str | None]]:
    """Return the outcome and the reason of each attempt at the only delivery."""
    made = (await only_record(bot.process.database)).attempts
    assert [attempt.number for attempt in made] == list(range(1, len(made) + 1))
    return [(attempt.outcome, attempt.reason) for attempt in made]


async def count_attempt_rows(database: Database) -> int:
    """Return how many attempts have a row of their own."""
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(attempts_table)) or 0


# Outcomes


async def test_a_successful_post_is_one_attempt_without_its_own_row(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    entry = await only_record(bot.process.database)
    assert entry.attempts == [Attempt(1, SLOT, SLOT, Outcome.SENT)]
    assert (entry.delivery.topic, entry.delivery.state) == ("flask", State.SENT)
    assert await count_attempt_rows(bot.process.database) == 0


async def test_an_attempt_with_an_unknown_outcome_is_followed_by_the_one_that_sent_the_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [TROUBLE]
    await bot.tick(SLOT)
    first, second = (await only_record(bot.process.database)).attempts
    assert first == Attempt(1, SLOT, SLOT, Outcome.UNKNOWN, "Discord is having problems (503)")
    assert SLOT < second.began_at <= SLOT + LONGEST_FIRST_PAUSE
    assert (second.ended_at, second.outcome, second.reason) == (second.began_at, Outcome.SENT, None)


async def test_each_attempt_during_an_outage_is_recorded(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 4
    await bot.tick_until(SLOT + timedelta(minutes=5))
    assert await outcomes(bot) == [(Outcome.NOT_SENT, "Discord cannot be reached")] * 4 + [(Outcome.SENT, None)]


async def test_a_refusal_is_the_last_attempt_and_has_a_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    assert await outcomes(bot) == [(Outcome.REFUSED, str(REFUSED))]
    assert (await only_record(bot.process.database)).delivery.state is State.BLOCKED


@pytest.mark.parametrize("later", [LEASE, timedelta(hours=1)], ids=["same nonce", "looked up"])
async def test_a_killed_attempt_has_no_outcome_and_the_next_one_has(bot: Bot, later: timedelta) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    assert (await only_record(bot.process.database)).attempts == [Attempt(1, SLOT)]
    await bot.tick(SLOT + later)
    ended = Outcome.SENT if later is LEASE else Outcome.FOUND
    assert await outcomes(bot) == [NO_OUTCOME, (ended, None)]
    assert len(bot.sender.posts) == 1


async def test_a_post_with_a_lost_response_is_found_in_the_history(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()  # so the send can't be repeated
    bot.sender.after = [CUT]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    assert await outcomes(bot) == [(Outcome.UNKNOWN, str(CUT)), (Outcome.FOUND, None)]
    assert (await only_record(bot.process.database)).delivery.state is State.SENT


async def test_an_unverifiable_post_has_an_unknown_outcome_with_a_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()
    bot.sender.after, bot.sender.finding = [CUT], [UNREADABLE]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    assert await outcomes(bot) == [(Outcome.UNKNOWN, str(CUT)), (Outcome.UNKNOWN, str(UNREADABLE))]
    assert (await only_record(bot.process.database)).delivery.state is State.UNVERIFIED


async def test_an_abandoned_delivery_records_the_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN_FOR_HOURS]
    await bot.tick(SLOT)
    await bot.change(lambda current: replace(current, active=False))
    await bot.tick(hours=2)
    reasons = ["Discord cannot be reached", "the channel was unsubscribed"]
    assert await outcomes(bot) == list(zip([Outcome.NOT_SENT, Outcome.GIVEN_UP], reasons, strict=True))


async def test_missed_and_skipped_posts_have_no_attempts(bot: Bot) -> None:
    await bot.subscribe()
    await bot.skip()
    await bot.tick(SLOT + timedelta(hours=25))
    missed, skipped = await entries(bot.process.database)
    assert (missed.delivery.state, missed.delivery.reason, missed.attempts) == (State.MISSED, NOT_RUNNING, [])
    assert (skipped.delivery.state, skipped.attempts) == (State.SKIPPED, [])


# Attempts that overlap


async def test_a_late_outcome_changes_nothing(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    older, newer = await taken(deliveries), await taken(deliveries, SLOT + LEASE)
    await deliveries.record_failed(older, SLOT, "cut", SLOT + LEASE, outcome_known=False)
    assert (await only_record(database)).attempts == [Attempt(1, SLOT), Attempt(2, newer.attempt_at or SLOT)]


async def test_a_late_attempt_that_found_the_post_is_recorded(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    older, at = await taken(deliveries), SLOT + LEASE
    await taken(deliveries, at)
    await deliveries.record_sent(older, 1, 2, [], at, found=True)
    assert (await only_record(database)).attempts == [Attempt(1, SLOT, at, Outcome.FOUND)]


# Filters


@pytest.fixture
async def three_deliveries(bot: Bot) -> Bot:
    """Two servers with a channel each; one is refused in the first week."""
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    bot.sender.closed = {OTHER}
    await bot.tick(SLOT)
    bot.sender.closed = set()
    await bot.tick(SLOT + timedelta(weeks=1))
    return bot


async def query(bot: Bot, filters: DeliveryFilter, limit: int = 100) -> list[tuple[int, datetime]]:
    found = await entries(bot.process.database, filters, limit)
    return [(entry.delivery.subscription.channel_id, entry.delivery.slot) for entry in found]


async def test_deliveries_are_listed_newest_first_and_filtered(three_deliveries: Bot) -> None:
    week_later = SLOT + timedelta(weeks=1)
    everything = await query(three_deliveries, DeliveryFilter())
    assert sorted(everything[:2]) == [(CHANNEL, week_later), (OTHER, week_later)]
    assert sorted(everything[2:]) == [(CHANNEL, SLOT), (OTHER, SLOT)]
    assert await query(three_deliveries, DeliveryFilter(), 3) == everything[:3]
    assert await query(three_deliveries, DeliveryFilter(channel_id=OTHER)) == [(OTHER, week_later), (OTHER, SLOT)]
    assert await query(three_deliveries, DeliveryFilter(guild_id=GUILD)) == [(CHANNEL, week_later), (CHANNEL, SLOT)]
    assert await query(three_deliveries, DeliveryFilter(since=week_later)) == everything[:2]
    assert await query(three_deliveries, DeliveryFilter(state=State.BLOCKED)) == [(OTHER, SLOT)]
    assert await query(three_deliveries, DeliveryFilter(guild_id=GUILD, channel_id=OTHER)) == []


@pytest.mark.parametrize("limit", range(6))
async def test_paging_leaves_nothing_out(three_deliveries: Bot, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    everything = await query(three_deliveries, DeliveryFilter())
    for page_size in (1, 2, 3):
        monkeypatch.setattr(delivery_history, "PAGE_SIZE", page_size)
        assert await query(three_deliveries, DeliveryFilter(), limit) == everything[:limit]


# Retention


async def test_attempts_are_deleted_after_three_months_and_with_their_delivery(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot)
    old = delivery(subscription_id, MONDAY - ATTEMPTS_KEPT - timedelta(days=1), attempts=2)
    new = delivery(subscription_id, MONDAY - timedelta(days=1), attempts=2)
    async with database.write() as connection:
        await connection.execute(insert(deliveries_table), [old, new])
        began = [{"delivery_id": each["id"], "number": 1, "began_at": each["slot"]} for each in (old, new)]
        await connection.execute(insert(attempts_table), began)
    assert sum(await prune(Pruning(database))) == 1
    assert [len(entry.attempts) for entry in await entries(database)] == [1, 0]
    async with database.write() as connection:
        await connection.execute(deliveries_table.delete())
    assert await count_attempt_rows(database) == 0
