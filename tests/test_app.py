"""The scheduled jobs of a process: when a new leader starts to deliver, and how failures are handled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import CONTENT
from weekbot import scheduler
from weekbot.app import App
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.delivery.traffic import Traffic
from weekbot.delivery.worker import LeaderGate
from weekbot.runtime.clock import SystemClock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.leadership import SingleProcess
from weekbot.scheduler import delivering

TICK = timedelta(seconds=0.05)


class Leadership(SingleProcess):
    """Leadership that the test controls."""

    def __init__(self) -> None:
        self.term = 0
        self.confirmed = True
        self._elections: asyncio.Queue[None] = asyncio.Queue()

    def is_leader(self) -> bool:
        return self.confirmed and self.term > 0

    def take_over(self) -> None:
        self.term += 1
        self._elections.put_nowait(None)

    async def elected(self) -> AsyncIterator[None]:
        while True:
            await self._elections.get()
            yield


@dataclass
class Parts:
    """An app that records its jobs; the next error in `errors` is raised instead of a job."""

    leadership: Leadership = field(default_factory=Leadership)
    done: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)

    def recorder(self, name: str) -> Callable[[], Any]:
        async def record() -> None:
            if self.errors.get(name):
                raise self.errors[name].pop(0)
            self.done.append(name)

        return record

    async def nothing(self) -> None:
        """Do nothing."""

    async def no_unknown_names(self) -> list[Any]:
        return []

    def app(self) -> App:
        async def alive(_: object) -> None:
            await self.recorder("alive")()

        guild_registry = SimpleNamespace(
            reconcile=self.recorder("reconcile"), save_locales=self.recorder("save_locales")
        )
        app = App.__new__(App)  # without the real parts
        vars(app).update(
            live=LiveLibrary(CONTENT),
            leader_gate=LeaderGate(self.leadership),
            registration=SimpleNamespace(check=self.nothing),
            guild_registry=guild_registry,
            reopening=SimpleNamespace(run=self.recorder("reopen")),
            dispatcher=SimpleNamespace(run=self.recorder("dispatch"), stop=self.recorder("stop")),
            preflight=SimpleNamespace(run=self.recorder("preflight")),
            topic_shortage=SimpleNamespace(run=self.recorder("topic shortage")),
            client=SimpleNamespace(came_online=SimpleNamespace(is_set=lambda: True), check_sessions=self.nothing),
            pruning=None,
            checkpoint=self.recorder("checkpoint"),
            reconciliations=SimpleNamespace(record_alive=alive),
            unknown_names=self.no_unknown_names,
            traffic=Traffic(),
            refused_topics=SimpleNamespace(load=self.recorder("load")),
            token_users=SimpleNamespace(load=self.nothing, save=self.nothing),
            clock=SystemClock(),
        )
        return app

    async def until(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(5):
            while self.done.count(name) < times:  # noqa: ASYNC110 - the scheduler has no event
                await asyncio.sleep(0.005)


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_a_leader_starts_when_the_bots_servers_are_known(parts: Parts) -> None:
    app = parts.app()
    async with delivering(app):
        await parts.until("dispatch")
        assert "reconcile" not in parts.done
        parts.leadership.take_over()
        await parts.until("topic shortage")
        assert app.leader_gate()
        assert parts.done.index("reconcile") < parts.done.index("topic shortage")
        assert parts.done.count("dispatch") == 2
        parts.leadership.term = 2
        assert not app.leader_gate()
        parts.leadership.take_over()
        await parts.until("reconcile", 2)
        await parts.until("topic shortage", 2)
        assert app.leader_gate()


async def test_a_leader_starts_even_if_its_leadership_was_unconfirmed_at_that_moment(parts: Parts) -> None:
    """For example, after waiting for the previous term's writes; `elected` yields only once per term."""
    app = parts.app()
    parts.leadership.confirmed = False
    async with delivering(app):
        parts.leadership.take_over()
        await parts.until("dispatch", 2)
        assert not app.leader_gate()
        parts.leadership.confirmed = True
        assert app.leader_gate()


@pytest.mark.parametrize("error", [DatabaseUnavailableError(), ZeroDivisionError("unexpected")])
async def test_a_leader_starts_even_if_the_bots_servers_are_unknown(parts: Parts, error: Exception) -> None:
    app = parts.app()
    parts.errors["reconcile"] = [error]
    async with delivering(app):
        parts.leadership.take_over()
        await parts.until("topic shortage")
        assert app.leader_gate()
        parts.leadership.take_over()  # the next election is noticed despite the error
        await parts.until("topic shortage", 2)
        assert app.leader_gate()


def database_error() -> DatabaseUnavailableError:
    error = DatabaseUnavailableError()
    error.__cause__ = OSError("server closed the connection\n[SQL: SELECT secrets]")
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (database_error(), "(server closed the connection)"),
        (WeekbotError("Stop it."), "Stop it."),
        (KeyError(1), "unexpected"),
    ],
    ids=["database", "mistake", "unexpected"],
)
async def test_a_failed_job_is_logged_in_one_line_and_repeated_at_the_next_tick(
    parts: Parts, caplog: pytest.LogCaptureFixture, error: Exception, line: str
) -> None:
    parts.errors["dispatch"] = [error]
    async with delivering(parts.app(), TICK):
        await parts.until("dispatch")
    [record] = [each for each in caplog.records if each.name == "weekbot.scheduler"]
    assert line in record.getMessage()
    assert "\n" not in record.getMessage()
    assert bool(record.exc_info) == isinstance(error, KeyError)


async def test_the_database_is_checkpointed_repeatedly(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CHECKPOINT", TICK)
    async with delivering(parts.app()):
        await parts.until("checkpoint", 2)
