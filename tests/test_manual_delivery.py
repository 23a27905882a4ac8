"""A manual delivery that is requested from a process that isn't the leader is sent by the leader."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes import Bot, FakeClock, FakeSender, Process
from locales import set_locale
from simulation import simulated
from weekbot.cluster import leader_election as election_module
from weekbot.cluster.fencing import Fencing
from weekbot.cluster.leader_election import LeaderElection
from weekbot.delivery import manual as manual_delivery
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.manual import Manual
from weekbot.domain.deliveries import State

on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def fast_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(manual_delivery, "POLL_SECONDS", 0.02)


@pytest.fixture
async def follower(bot: Bot) -> AsyncIterator[Process]:
    """The process that gets the moderator's command; it isn't the leader."""
    process = bot.another_process(FakeSender(closed={11, 12}), is_leader=False)
    yield process
    await process.close()


@pytest.fixture
async def leader(bot: Bot) -> AsyncIterator[Bot]:
    """The leader, which looks for jobs only when it is woken."""
    election, ticks = LeaderElection(bot.process.database, Fencing()), set[asyncio.Task[None]]()
    election.on_wake(lambda: ticks.add(asyncio.create_task(bot.process.dispatcher.run())))
    async with election.running():
        election.stand_for_election()
        await anext(election.elected())
        yield bot
    await asyncio.gather(*ticks)


@on_postgresql
async def test_the_leader_is_woken_and_its_post_awaited(leader: Bot, follower: Process) -> None:
    await leader.subscribe()

    manual = await follower.manual.post(await leader.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.topic, delivery.attempts) == (State.SENT, "flask", 1)
    assert leader.topics() == ["flask"]


@on_postgresql
async def test_a_refusal_is_returned_with_its_reason(leader: Bot, follower: Process) -> None:
    await leader.subscribe()
    leader.sender.before = [PermanentError("gone")]

    manual = await follower.manual.post(await leader.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.reason) == (State.BLOCKED, "gone")


@on_postgresql
async def test_a_failed_attempt_is_returned_and_retried(leader: Bot, follower: Process) -> None:
    await leader.subscribe()
    leader.sender.before = [RetryableError("Discord cannot be reached")]

    manual = await follower.manual.post(await leader.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert delivery.state is State.SENT or delivery.reason == "Discord cannot be reached"
    async with asyncio.timeout(10):
        await leader.sender.posted(1)


@on_postgresql
async def test_a_topic_is_skipped_without_the_leader(bot: Bot, follower: Process) -> None:
    await bot.subscribe()
    manual = await follower.manual.skip(await bot.subscription())
    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.topic) == (State.SKIPPED, "flask")


async def test_a_delivery_stays_pending_without_a_leader(
    bot: Bot, follower: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_delivery, "LEADER_SECONDS", 0.1)
    await bot.subscribe()

    manual = await follower.manual.post(await bot.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.attempts, delivery.first_attempt_at) == (State.PENDING, 0, None)
    assert await follower.manual.post(await bot.subscription()) == Manual(delivery, repeated=True)
    await bot.tick()
    assert bot.topics() == ["flask"]


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-US", "**How to use these weeks** is on its way. `/weekly status` shows how it's going."),
        ("de", "**So nutzt du diese Wochen** ist unterwegs. `/wochenthema status` zeigt, wie es steht."),
    ],
)
async def test_the_moderator_is_told_that_a_pending_post_is_on_its_way(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, locale: str, words: str
) -> None:
    monkeypatch.setattr(manual_delivery, "LEADER_SECONDS", 0.05)
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe")
        monkeypatch.setattr(simulation.app.leader_gate.leadership, "is_leader", lambda: False)
        set_locale(simulation.env, simulation.moderator, locale)
        answer = await simulation.slash("weekly post")
        assert answer.text == words
        assert simulation.posts() == []
