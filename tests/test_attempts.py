"""The outcome of an attempt is ignored after a newer attempt, and rejected after another process became the leader."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fakes import MONDAY
from test_store import LEASE, SLOT, again, claim, planning, subscribed, taken, taken_steps
from weekbot.cluster.fencing import Fencing
from weekbot.db.database import Database
from weekbot.db.errors import FencedError
from weekbot.db.tables import deliveries as deliveries_table
from weekbot.db.tables import metadata
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.notices import Notice, NoticeKind
from weekbot.domain.steps import Step, StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.notices import Notices, enqueue
from weekbot.store.republication import Republication
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions

LATER = SLOT + timedelta(minutes=5)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


async def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    async with database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=str)
            for table in metadata.sorted_tables
        }


# A newer attempt


Record = Callable[[Deliveries, Delivery], Awaitable[object]]
DELIVERY_OUTCOMES: dict[str, Record] = {
    "failed": lambda store, this: store.record_failed(this, LATER, "cut", LATER, outcome_known=True),
    "failed with an unknown outcome": lambda store, this: store.record_failed(
        this, LATER, "cut", LATER, outcome_known=False
    ),
    "unverified": lambda store, this: store.record_unverified(this, "cut", LATER),
    "missed": lambda store, this: store.record_missed(this, "too late", LATER),
    "blocked": lambda store, this: store.record_blocked(this, "gone", LATER),
    "blocked and unverified": lambda store, this: store.record_blocked(this, "gone", LATER, state=State.UNVERIFIED),
    "restart": lambda store, this: store.restart(this, LATER, LEASE),
    "change_topic": lambda store, this: store.change_topic(this, planning("django", chosen=True)),
    "save_cursor": lambda store, this: store.save_cursor(this, "1", LATER),
    "removed": lambda store, this: store.record_removed(this, "removed", LATER),
}


@pytest.mark.parametrize("record", DELIVERY_OUTCOMES.values(), ids=DELIVERY_OUTCOMES)
async def test_a_deliverys_outcome_is_recorded_only_by_its_latest_attempt(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries, record: Record
) -> None:
    due = await subscribed(subscriptions)
    await claim(deliveries, due, planning(chosen=True))
    await subscriptions.change(due.channel_id, lambda current: replace(current, chosen_topic="django"))
    older, newer = await taken(deliveries), await taken(deliveries, SLOT + LEASE)
    before = await rows(database)

    await record(deliveries, older)
    assert await rows(database) == before

    await record(deliveries, newer)
    assert await rows(database) != before


async def test_changing_the_topic_returns_none_for_an_outdated_attempt(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claim(deliveries, await subscribed(subscriptions), planning())
    older, newer = await taken(deliveries), await taken(deliveries, SLOT + LEASE)

    assert await deliveries.change_topic(older, planning("django")) is None
    replanned = await deliveries.change_topic(newer, planning("dash"))

    assert replanned is not None
    assert (await again(deliveries, newer)).topic == replanned.topic == "dash"


async def test_a_sent_post_is_recorded_even_by_an_outdated_attempt(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claim(deliveries, await subscribed(subscriptions), planning())
    older, newer = await taken(deliveries), await taken(deliveries, SLOT + LEASE)

    await deliveries.record_sent(older, 1, 2, [], LATER)

    recorded = await again(deliveries, newer)
    assert (recorded.state, recorded.message_id, recorded.retry_at) == (State.SENT, 1, None)


RecordStep = Callable[[Steps, Step], Awaitable[object]]
STEP_OUTCOMES: dict[str, RecordStep] = {
    "finish": lambda store, this: store.finish(this),
    "finish without a permission": lambda store, this: store.finish(this, reason="lacks a permission"),
    "retry": lambda store, this: store.retry(this, LATER + LEASE, reason="cut"),
}


@pytest.mark.parametrize("record", STEP_OUTCOMES.values(), ids=STEP_OUTCOMES)
async def test_a_steps_outcome_is_recorded_only_by_its_latest_attempt(
    database: Database, subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps, record: RecordStep
) -> None:
    await posted(subscriptions, deliveries)
    (older,), (newer,) = await taken_steps(steps), await taken_steps(steps, SLOT + LEASE)
    before = await rows(database)

    await record(steps, older)
    assert await rows(database) == before

    await record(steps, newer)
    assert await rows(database) != before


async def posted(subscriptions: Subscriptions, deliveries: Deliveries) -> Delivery:
    """Return a delivery that was sent and whose pin is due."""
    await claim(deliveries, await subscribed(subscriptions), planning())
    delivery = await taken(deliveries)
    await deliveries.record_sent(delivery, 1, 2, [StepName.PIN], SLOT, "v1")
    return await again(deliveries, delivery)


RecordNotice = Callable[[Notices, Notice], Awaitable[object]]
NOTICE_OUTCOMES: dict[str, RecordNotice] = {
    "finish": lambda store, this: store.finish(this),
    "retry": lambda store, this: store.retry(this, LATER, first_attempt_at=None),
    "retry after an ambiguous error": lambda store, this: store.retry(this, LATER),
}


@pytest.mark.parametrize("record", NOTICE_OUTCOMES.values(), ids=NOTICE_OUTCOMES)
async def test_a_notices_outcome_is_recorded_only_by_its_latest_attempt(
    database: Database, subscriptions: Subscriptions, record: RecordNotice
) -> None:
    notices = Notices(database)
    await told_of(database, await subscribed(subscriptions))
    (older,), (newer,) = await notices.claim(MONDAY, LEASE, 10), await notices.claim(MONDAY + LEASE, LEASE, 10)
    before = await rows(database)

    await record(notices, older)
    assert await rows(database) == before

    await record(notices, newer)
    assert await rows(database) != before


async def told_of(database: Database, subscription: Subscription) -> None:
    async with database.write() as connection:
        await enqueue(connection, subscription.id, NoticeKind.BLOCKED, "gone", MONDAY)


# Another process


@dataclass
class Ledger:
    """The fenced stores of one process."""

    deliveries: Deliveries
    steps: Steps
    republication: Republication


@dataclass
class Known:
    """A process's data from before another became the leader: a due slot, and jobs that it had begun."""

    due: Subscription
    pending: Delivery
    sent: Delivery
    step: Step


Write = Callable[[Ledger, Known], Awaitable[object]]
WRITES: dict[str, dict[str, Write]] = {
    "deliveries": {
        "claim_due": lambda ledger, known: ledger.deliveries.claim_due([known.due], planning(), SLOT),
        "claim_manual": lambda ledger, known: ledger.deliveries.claim_manual(known.due, planning(), SLOT, LEASE),
        "claim": lambda ledger, _: ledger.deliveries.claim(LATER, LEASE, 10),
        "repair_future_times": lambda ledger, _: ledger.deliveries.repair_future_times(MONDAY, timedelta(days=1)),
        "restart": lambda ledger, known: ledger.deliveries.restart(known.pending, LATER, LEASE),
        "change_topic": lambda ledger, known: ledger.deliveries.change_topic(known.pending, planning("django")),
        "retry_now": lambda ledger, _: ledger.deliveries.retry_now(MONDAY),
        "reopen": lambda ledger, known: ledger.deliveries.reopen(known.pending, LATER),
        "save_cursor": lambda ledger, known: ledger.deliveries.save_cursor(known.pending, "1", LATER),
        "record_removed": lambda ledger, known: ledger.deliveries.record_removed(
            known.pending, "record_removed", LATER
        ),
        "record_failed": lambda ledger, known: ledger.deliveries.record_failed(
            known.pending, LATER, "cut", LATER, outcome_known=True
        ),
        "record_sent": lambda ledger, known: ledger.deliveries.record_sent(known.pending, 3, 2, [StepName.PIN], LATER),
        "record_unverified": lambda ledger, known: ledger.deliveries.record_unverified(known.pending, "cut", LATER),
        "record_missed": lambda ledger, known: ledger.deliveries.record_missed(known.pending, "too late", LATER),
        "record_blocked": lambda ledger, known: ledger.deliveries.record_blocked(known.pending, "gone", LATER),
    },
    "steps": {
        "claim": lambda ledger, _: ledger.steps.claim(LATER, LEASE, 10),
        "finish": lambda ledger, known: ledger.steps.finish(known.step),
        "retry": lambda ledger, known: ledger.steps.retry(known.step, LATER, reason="cut"),
        "record_pin": lambda ledger, known: ledger.steps.record_pin(known.step),
        "record_message": lambda ledger, known: ledger.steps.record_message(known.step, 1, 2, None),
    },
    "republication": {
        "enqueue_outdated": lambda ledger, known: ledger.republication.enqueue_outdated(
            {known.sent.topic}, {"v2"}, LATER
        ),
        "claim": lambda ledger, _: ledger.republication.claim(LATER, LEASE, 10),
        "record_edit": lambda ledger, known: ledger.republication.record_edit(known.sent, "v2"),
        "retry": lambda ledger, known: ledger.republication.retry(known.sent, LATER),
        "finish": lambda ledger, known: ledger.republication.finish(known.sent, reason="gone"),
    },
}
READS: dict[str, set[str]] = {
    "deliveries": {
        *("used_topics", "get", "last", "topics_of", "last_of_topic", "refused"),
        *("is_round_new", "recently_chosen"),
    },
    "steps": {"failures"},
    "republication": {"posted_topics", "count"},
}


QUEUE_METHODS = {
    "deliveries": {"claim"},
    "steps": {"claim", "retry", "finish"},
    "republication": {"claim", "retry", "finish"},
}
"""The queue methods in use: deliveries have their own methods for the end of an attempt."""


@on_postgresql
async def test_writes_of_an_older_term_are_rejected(database: Database, subscriptions: Subscriptions) -> None:
    older, newer = Fencing(), Fencing()
    await begin(database, older)
    known = await begin_jobs(ledger_of(database.fenced(older.check)), subscriptions, database)
    await begin(database, newer)
    ledger, before = ledger_of(database.fenced(older.check)), await rows(database)

    accepted = [f"{store}.{name}" for store, name, write in writes() if not await is_fenced(write, ledger, known)]

    assert accepted == []
    assert await rows(database) == before
    assert await ledger.deliveries.get(known.pending.id) == known.pending
    assert await ledger.steps.next_at() == SLOT + LEASE


@on_postgresql
async def test_writes_of_the_current_term_are_accepted(database: Database, subscriptions: Subscriptions) -> None:
    fencing = Fencing()
    await begin(database, fencing)
    ledger = ledger_of(database.fenced(fencing.check))
    known = await begin_jobs(ledger, subscriptions, database)

    assert [f"{store}.{name}" for store, name, write in writes() if await is_fenced(write, ledger, known)] == []


def test_every_method_of_the_fenced_stores_is_covered() -> None:
    for store in fields(Ledger):
        kind = store.type
        assert isinstance(kind, type)
        public = {name for name in vars(kind) if not name.startswith("_")}
        assert public <= {*WRITES[store.name], *READS[store.name]} <= {name for name in dir(kind) if name[0] != "_"}
        assert {"claim", "retry", "finish"} & set(WRITES[store.name]) == QUEUE_METHODS[store.name]


def ledger_of(database: Database) -> Ledger:
    return Ledger(Deliveries(database), Steps(database), Republication(database))


def writes() -> list[tuple[str, str, Write]]:
    return [(store, name, write) for store, named in WRITES.items() for name, write in named.items()]


async def begin(database: Database, fencing: Fencing) -> None:
    async with database.write() as connection:
        await fencing.begin(connection)


async def is_fenced(write: Write, ledger: Ledger, known: Known) -> bool:
    try:
        await write(ledger, known)
    except FencedError:
        return True
    return False


async def begin_jobs(ledger: Ledger, subscriptions: Subscriptions, database: Database) -> Known:
    due, other, third = [await subscribed(subscriptions, channel_id) for channel_id in (11, 12, 13)]
    await claim(ledger.deliveries, other, planning())
    sent = await taken(ledger.deliveries)
    await ledger.deliveries.record_sent(sent, 1, 2, [StepName.PIN], SLOT, "v1")
    (step,) = await taken_steps(ledger.steps)
    await claim(ledger.deliveries, third, planning())
    pending = await taken(ledger.deliveries)
    async with database.write() as connection:
        await connection.execute(deliveries_table.update().values(correct_at=SLOT))
    return Known(due, await again(ledger.deliveries, pending), await again(ledger.deliveries, sent), step)
