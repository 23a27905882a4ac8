"""What the ledger keeps of each attempt, and how it is asked for."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, Bot
from test_delivery import CUT, DOWN, DOWN_FOR_HOURS, REFUSED, UNREADABLE
from test_pruning import delivery, put, walk
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
NOBODY_KNOWS = (None, None)


async def entries(database: Database, which: DeliveryFilter | None = None, limit: int = 100) -> list[DeliveryRecord]:
    return [entry async for entry in latest_deliveries(database, which or DeliveryFilter(), limit)]


async def the_only(database: Database) -> DeliveryRecord:
    [entry] = await entries(database)
    return entry


async def outcomes(bot: Bot) -> list[tuple[Outcome | None, str | None]]:
    """Of the only delivery's attempts, which are numbered one by one."""
    made = (await the_only(bot.process.database)).attempts
    assert [attempt.number for attempt in made] == list(range(1, len(made) + 1))
    return [(attempt.outcome, attempt.reason) for attempt in made]


async def kept(database: Database) -> int:
    """How many attempts have a row of their own."""
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(attempts_table)) or 0


# What became of an attempt


async def test_a_post_that_goes_well_is_one_attempt_and_writes_no_row_for_it(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    entry = await the_only(bot.process.database)
    assert entry.attempts == [Attempt(1, SLOT, SLOT, Outcome.SENT)]
    assert (entry.delivery.topic, entry.delivery.state) == ("flask", State.SENT)
    assert await kept(bot.process.database) == 0


async def test_an_attempt_after_which_nobody_knew_is_followed_by_the_one_that_sent(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [TROUBLE]
    await bot.tick(SLOT)
    first, second = (await the_only(bot.process.database)).attempts
    assert first == Attempt(1, SLOT, SLOT, Outcome.UNKNOWN, "Discord is having problems (503)")
    assert SLOT < second.began_at <= SLOT + LONGEST_FIRST_PAUSE
    assert (second.ended_at, second.outcome, second.reason) == (second.began_at, Outcome.SENT, None)


async def test_each_attempt_of_an_outage_is_kept(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 4
    await bot.tick_until(SLOT + timedelta(minutes=5))
    assert await outcomes(bot) == [(Outcome.NOT_SENT, "Discord cannot be reached")] * 4 + [(Outcome.SENT, None)]


async def test_a_refusal_is_the_end_with_its_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    assert await outcomes(bot) == [(Outcome.REFUSED, str(REFUSED))]
    assert (await the_only(bot.process.database)).delivery.state is State.BLOCKED


@pytest.mark.parametrize("later", [LEASE, timedelta(hours=1)], ids=["same nonce", "looked up"])
async def test_of_an_attempt_that_was_killed_no_end_is_known_and_the_next_one_tells(bot: Bot, later: timedelta) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    assert (await the_only(bot.process.database)).attempts == [Attempt(1, SLOT)]
    await bot.tick(SLOT + later)
    ended = Outcome.SENT if later is LEASE else Outcome.FOUND
    assert await outcomes(bot) == [NOBODY_KNOWS, (ended, None)]
    assert len(bot.sender.posts) == 1


async def test_a_lost_answer_that_is_found_in_the_history(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()  # so it cannot be repeated
    bot.sender.after = [CUT]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    assert await outcomes(bot) == [(Outcome.UNKNOWN, str(CUT)), (Outcome.FOUND, None)]
    assert (await the_only(bot.process.database)).delivery.state is State.SENT


async def test_what_cannot_be_verified_ends_unknown_with_its_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()
    bot.sender.after, bot.sender.finding = [CUT], [UNREADABLE]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    assert await outcomes(bot) == [(Outcome.UNKNOWN, str(CUT)), (Outcome.UNKNOWN, str(UNREADABLE))]
    assert (await the_only(bot.process.database)).delivery.state is State.UNVERIFIED


async def test_what_is_given_up_says_why(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN_FOR_HOURS]
    await bot.tick(SLOT)
    await bot.change(lambda current: replace(current, active=False))
    await bot.tick(hours=2)
    reasons = ["Discord cannot be reached", "the channel was unsubscribed"]
    assert await outcomes(bot) == list(zip([Outcome.NOT_SENT, Outcome.GIVEN_UP], reasons, strict=True))


async def test_what_was_missed_or_skipped_was_never_attempted(bot: Bot) -> None:
    await bot.subscribe()
    await bot.skip()
    await bot.tick(SLOT + timedelta(hours=25))
    missed, skipped = await entries(bot.process.database)
    assert (missed.delivery.state, missed.delivery.reason, missed.attempts) == (State.MISSED, NOT_RUNNING, [])
    assert (skipped.delivery.state, skipped.attempts) == (State.SKIPPED, [])


# Attempts that overlap


async def test_an_end_that_comes_late_changes_nothing(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    older, newer = await taken(deliveries), await taken(deliveries, SLOT + LEASE)
    await deliveries.record_failed(older, SLOT, "cut", SLOT + LEASE, outcome_known=False)
    assert (await the_only(database)).attempts == [Attempt(1, SLOT), Attempt(2, newer.attempt_at or SLOT)]


async def test_a_late_one_that_found_the_post_says_so(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    older, at = await taken(deliveries), SLOT + LEASE
    await taken(deliveries, at)
    await deliveries.record_sent(older, 1, 2, [], at, found=True)
    assert (await the_only(database)).attempts == [Attempt(1, SLOT, at, Outcome.FOUND)]


# Which


@pytest.fixture
async def three(bot: Bot) -> Bot:
    """Two servers with a channel each; one is refused in the first week."""
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    bot.sender.closed = {OTHER}
    await bot.tick(SLOT)
    bot.sender.closed = set()
    await bot.tick(SLOT + timedelta(weeks=1))
    return bot


async def asked(bot: Bot, which: DeliveryFilter, limit: int = 100) -> list[tuple[int, datetime]]:
    found = await entries(bot.process.database, which, limit)
    return [(entry.delivery.subscription.channel_id, entry.delivery.slot) for entry in found]


async def test_they_come_newest_first_and_as_asked(three: Bot) -> None:
    week_later = SLOT + timedelta(weeks=1)
    everything = await asked(three, DeliveryFilter())
    assert sorted(everything[:2]) == [(CHANNEL, week_later), (OTHER, week_later)]
    assert sorted(everything[2:]) == [(CHANNEL, SLOT), (OTHER, SLOT)]
    assert await asked(three, DeliveryFilter(), 3) == everything[:3]
    assert await asked(three, DeliveryFilter(channel_id=OTHER)) == [(OTHER, week_later), (OTHER, SLOT)]
    assert await asked(three, DeliveryFilter(guild_id=GUILD)) == [(CHANNEL, week_later), (CHANNEL, SLOT)]
    assert await asked(three, DeliveryFilter(since=week_later)) == everything[:2]
    assert await asked(three, DeliveryFilter(state=State.BLOCKED)) == [(OTHER, SLOT)]
    assert await asked(three, DeliveryFilter(guild_id=GUILD, channel_id=OTHER)) == []


@pytest.mark.parametrize("limit", range(6))
async def test_page_after_page_leaves_nothing_out(three: Bot, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    everything = await asked(three, DeliveryFilter())
    for a_page in (1, 2, 3):
        monkeypatch.setattr(delivery_history, "PAGE_SIZE", a_page)
        assert await asked(three, DeliveryFilter(), limit) == everything[:limit]


# How long they are kept


async def test_attempts_go_after_three_months_and_with_their_delivery(bot: Bot, database: Database) -> None:
    subscription_id = await put(bot)
    old = delivery(subscription_id, MONDAY - ATTEMPTS_KEPT - timedelta(days=1), attempts=2)
    new = delivery(subscription_id, MONDAY - timedelta(days=1), attempts=2)
    async with database.write() as connection:
        await connection.execute(insert(deliveries_table), [old, new])
        began = [{"delivery_id": each["id"], "number": 1, "began_at": each["slot"]} for each in (old, new)]
        await connection.execute(insert(attempts_table), began)
    assert sum(await walk(Pruning(database))) == 1
    assert [len(entry.attempts) for entry in await entries(database)] == [1, 0]
    async with database.write() as connection:
        await connection.execute(deliveries_table.delete())
    assert await kept(database) == 0
