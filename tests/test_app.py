"""The jobs of a process: when its turn to send begins, and what becomes of one that fails."""

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
    """Which the test gives, and may doubt."""

    def __init__(self) -> None:
        self.term = 0
        self.sure = True
        self._elections: asyncio.Queue[None] = asyncio.Queue()

    def is_leader(self) -> bool:
        return self.sure and self.term > 0

    def take_over(self) -> None:
        self.term += 1
        self._elections.put_nowait(None)

    async def elected(self) -> AsyncIterator[None]:
        while True:
            await self._elections.get()
            yield


@dataclass
class Parts:
    """An app that only notes what is done; what is in `errors` is raised instead, each in turn."""

    leadership: Leadership = field(default_factory=Leadership)
    done: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)

    def noted(self, name: str) -> Callable[[], Any]:
        async def note() -> None:
            if self.errors.get(name):
                raise self.errors[name].pop(0)
            self.done.append(name)

        return note

    async def nothing(self) -> None:
        """Nothing is kept."""

    async def no_unknown_names(self) -> list[Any]:
        return []

    def app(self) -> App:
        async def alive(_: object) -> None:
            await self.noted("alive")()

        guild_registry = SimpleNamespace(reconcile=self.noted("look after"), save_locales=self.noted("save_locales"))
        app = App.__new__(App)  # without the real parts
        vars(app).update(
            live=LiveLibrary(CONTENT),
            leader_gate=LeaderGate(self.leadership),
            registration=SimpleNamespace(check=self.nothing),
            guild_registry=guild_registry,
            reopening=SimpleNamespace(run=self.noted("reopen")),
            dispatcher=SimpleNamespace(run=self.noted("dispatch"), stop=self.noted("stop")),
            preflight=SimpleNamespace(run=self.noted("preflight")),
            topic_shortage=SimpleNamespace(run=self.noted("look out")),
            client=SimpleNamespace(came_online=SimpleNamespace(is_set=lambda: True), check_sessions=self.nothing),
            pruning=None,
            checkpoint=self.noted("checkpoint"),
            reconciliations=SimpleNamespace(record_alive=alive),
            unknown_names=self.no_unknown_names,
            traffic=Traffic(),
            refused_topics=SimpleNamespace(load=self.noted("load")),
            token_users=SimpleNamespace(load=self.nothing, save=self.nothing),
            clock=SystemClock(),
        )
        return app

    async def until(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(5):
            while self.done.count(name) < times:  # noqa: ASYNC110 - a scheduler does it
                await asyncio.sleep(0.005)


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_a_turn_begins_when_it_is_known_which_servers_the_bot_is_in(parts: Parts) -> None:
    app = parts.app()
    async with delivering(app):
        await parts.until("dispatch")
        assert "look after" not in parts.done
        parts.leadership.take_over()
        await parts.until("look out")
        assert app.leader_gate()
        assert parts.done.index("look after") < parts.done.index("look out")
        assert parts.done.count("dispatch") == 2
        parts.leadership.term = 2
        assert not app.leader_gate()
        parts.leadership.take_over()
        await parts.until("look after", 2)
        await parts.until("look out", 2)
        assert app.leader_gate()


async def test_a_turn_begins_also_where_the_process_was_not_sure_just_then(parts: Parts) -> None:
    """As after a wait for what the last term was writing; it has no second beginning."""
    app = parts.app()
    parts.leadership.sure = False
    async with delivering(app):
        parts.leadership.take_over()
        await parts.until("dispatch", 2)
        assert not app.leader_gate()
        parts.leadership.sure = True
        assert app.leader_gate()


@pytest.mark.parametrize("error", [DatabaseUnavailableError(), ZeroDivisionError("unexpected")])
async def test_a_turn_begins_also_where_nobody_knows_which_servers_the_bot_is_in(
    parts: Parts, error: Exception
) -> None:
    app = parts.app()
    parts.errors["look after"] = [error]
    async with delivering(app):
        parts.leadership.take_over()
        await parts.until("look out")
        assert app.leader_gate()
        parts.leadership.take_over()  # whatever went wrong, the next beginning is heard of
        await parts.until("look out", 2)
        assert app.leader_gate()


def away() -> DatabaseUnavailableError:
    error = DatabaseUnavailableError()
    error.__cause__ = OSError("server closed the connection\n[SQL: SELECT secrets]")
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [(away(), "(server closed the connection)"), (WeekbotError("Stop it."), "Stop it."), (KeyError(1), "unexpected")],
    ids=["database", "mistake", "unexpected"],
)
async def test_a_job_that_fails_is_a_line_in_the_log_and_done_again_at_the_next_tick(
    parts: Parts, caplog: pytest.LogCaptureFixture, error: Exception, line: str
) -> None:
    parts.errors["dispatch"] = [error]
    async with delivering(parts.app(), TICK):
        await parts.until("dispatch")
    [record] = [each for each in caplog.records if each.name == "weekbot.scheduler"]
    assert line in record.getMessage()
    assert "\n" not in record.getMessage()
    assert bool(record.exc_info) == isinstance(error, KeyError)


async def test_what_was_committed_is_brought_into_the_file_again_and_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "CHECKPOINT", TICK)
    async with delivering(parts.app()):
        await parts.until("checkpoint", 2)
