"""What a moderator has posted by hand at a process that does not send is sent by the one that does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes import Bot, FakeClock, FakeSender, Process
from locales import speaks
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
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(manual_delivery, "POLL_SECONDS", 0.02)


@pytest.fixture
async def asked(bot: Bot) -> AsyncIterator[Process]:
    """The process that the moderator asks; it sends nothing."""
    process = bot.another(FakeSender(closed={11, 12}), sends=False)
    yield process
    await process.close()


@pytest.fixture
async def listening(bot: Bot) -> AsyncIterator[Bot]:
    """The other process sends, and looks for work when it is told of some, and at no other time."""
    election, ticks = LeaderElection(bot.process.database, Fencing()), set[asyncio.Task[None]]()
    election.on_wake(lambda: ticks.add(asyncio.create_task(bot.process.dispatcher.run())))
    async with election.running():
        election.stand_for_election()
        await anext(election.elected())
        yield bot
    await asyncio.gather(*ticks)


@on_postgresql
async def test_the_other_process_is_told_sends_it_and_is_waited_for(listening: Bot, asked: Process) -> None:
    await listening.subscribe()

    manual = await asked.manual.post(await listening.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.topic, delivery.attempts) == (State.SENT, "flask", 1)
    assert listening.topics() == ["flask"]


@on_postgresql
async def test_a_refusal_is_told_with_its_reason(listening: Bot, asked: Process) -> None:
    await listening.subscribe()
    listening.sender.before = [PermanentError("gone")]

    manual = await asked.manual.post(await listening.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.reason) == (State.BLOCKED, "gone")


@on_postgresql
async def test_an_attempt_that_failed_is_told_and_followed_by_others(listening: Bot, asked: Process) -> None:
    await listening.subscribe()
    listening.sender.before = [RetryableError("Discord cannot be reached")]

    manual = await asked.manual.post(await listening.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert delivery.state is State.SENT or delivery.reason == "Discord cannot be reached"
    async with asyncio.timeout(10):
        await listening.sender.posted(1)


@on_postgresql
async def test_a_topic_is_left_out_without_the_other_process(bot: Bot, asked: Process) -> None:
    await bot.subscribe()
    manual = await asked.manual.skip(await bot.subscription())
    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.topic) == (State.SKIPPED, "flask")


async def test_where_nobody_sends_it_for_a_while_it_is_on_its_way(
    bot: Bot, asked: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_delivery, "LEADER_SECONDS", 0.1)
    await bot.subscribe()

    manual = await asked.manual.post(await bot.subscription())

    assert manual is not None
    delivery = manual.delivery
    assert (delivery.state, delivery.attempts, delivery.first_attempt_at) == (State.PENDING, 0, None)
    assert await asked.manual.post(await bot.subscription()) == Manual(delivery, repeated=True)
    await bot.tick()
    assert bot.topics() == ["flask"]


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-US", "**How to use these weeks** is on its way. `/weekly status` shows how it's going."),
        ("de", "**So nutzt du diese Wochen** ist unterwegs. `/wochenthema status` zeigt, wie es steht."),
    ],
)
async def test_the_moderator_is_told_that_it_is_on_its_way(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, locale: str, words: str
) -> None:
    monkeypatch.setattr(manual_delivery, "LEADER_SECONDS", 0.05)
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe")
        monkeypatch.setattr(simulation.app.leader_gate.leadership, "is_leader", lambda: False)
        speaks(simulation.env, simulation.moderator, locale)
        answer = await simulation.slash("weekly post")
        assert answer.text == words
        assert simulation.posts() == []
