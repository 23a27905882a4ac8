"""The session record: failed starts are counted and delayed, so that a crash loop doesn't use up a day's sessions."""

import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from discord_server import handshake_fault
from discord_server.fault import FOREVER
from fakes import Bot
from processes import Place, next_log_line, place_in
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.db.tables import SESSION_STARTS
from weekbot.discord_io.gateway.session_record import (
    DAY,
    FREE_FAILURES,
    SessionRecord,
    pause_before_session,
    process_name,
)
from weekbot.store.metadata import Metadata

THIS_PROCESS = process_name(None)


def record(bot: Bot, process: str = "a all") -> SessionRecord:
    return SessionRecord(Metadata(bot.process.database), process, bot.clock.now)


async def start(bot: Bot, process: str = "a all") -> SessionRecord:
    started = record(bot, process)
    await started.begin()
    return started


async def test_failed_starts_are_counted(bot: Bot) -> None:
    assert [(await start(bot)).failures for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_a_successful_start_resets_the_count(bot: Bot) -> None:
    for _ in range(4):
        last = await start(bot)
    await last.succeed()
    assert last.failures == 0
    assert (await start(bot)).failures == 0


async def test_each_process_has_its_own_count(bot: Bot) -> None:
    await start(bot, "a all")
    await start(bot, "b 0,1")
    await (await start(bot, "b 0,1")).succeed()
    assert (await start(bot, "a all")).failures == 1
    assert (await start(bot, "b 0,1")).failures == 0


async def test_a_failure_does_not_count_after_a_day(bot: Bot) -> None:
    await start(bot)
    bot.clock.instant += DAY
    assert (await start(bot)).failures == 0


@pytest.mark.parametrize("value", ["", "[]", "7", "{", '{"a all": 3}', '{"a all": [1, "yesterday"]}'])
async def test_an_unreadable_record_counts_as_none(bot: Bot, value: str) -> None:
    await Metadata(bot.process.database).put(SESSION_STARTS, value)
    assert (await start(bot)).failures == 0
    assert (await start(bot)).failures == 1


async def test_nothing_is_counted_during_a_database_outage(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unavailable(*_: object) -> None:
        raise DatabaseUnavailableError("it is away")

    monkeypatch.setattr(Metadata, "get", unavailable)
    started = await start(bot)
    await started.succeed()
    assert started.failures == 0
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 2


def test_the_first_failures_cause_no_pause() -> None:
    assert [pause_before_session(failures, 1, 1000) for failures in range(FREE_FAILURES)] == [timedelta()] * 3


@pytest.mark.parametrize(("shards", "allowed"), [(1, 1000), (4, 1000), (16, 1000), (64, 2000), (1, 1)])
def test_a_crash_loop_uses_at_most_half_of_a_days_sessions(shards: int, allowed: int) -> None:
    pauses = [pause_before_session(failures, shards, allowed) for failures in range(FREE_FAILURES, 100)]
    assert pauses == sorted(pauses)
    starts_a_day = DAY / pauses[-1]
    assert round(starts_a_day * shards, 6) <= max(1, allowed / 2)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def recorded(place: Place) -> dict[str, int]:
    async with place.database() as database:
        entries = json.loads(await Metadata(database).get(SESSION_STARTS) or "{}")
    return {process: failures for process, (failures, _) in entries.items()}


async def test_a_killed_process_is_counted_and_a_stopped_one_is_not(place: Place) -> None:
    for end, expected in ((signal.SIGKILL, {THIS_PROCESS: 1}), (signal.SIGTERM, {})):
        bot = await place.start(sys.executable, "-m", "weekbot", "run")
        await place.server.ready()
        bot.send_signal(end)
        await bot.communicate()
        assert await recorded(place) == expected


async def test_a_process_whose_gateway_connection_is_closed_permanently_is_counted(place: Place) -> None:
    place.server.gateway.inject("IDENTIFY", handshake_fault.closed(4014), FOREVER)
    bot = await place.start(sys.executable, "-m", "weekbot", "run")
    await bot.communicate()
    assert bot.returncode == 1
    assert await recorded(place) == {THIS_PROCESS: 1}


async def test_a_process_waits_before_connecting_after_several_failures(place: Place) -> None:
    async with place.database() as database:
        await database.upgrade()
        entry = {THIS_PROCESS: (FREE_FAILURES, place.server.world.clock().isoformat())}
        await Metadata(database).put(SESSION_STARTS, json.dumps(entry))
    port = unused_port()
    bot = await place.start(sys.executable, "-m", "weekbot", "run", WEEKBOT_HEALTH_PORT=str(port))
    assert "3 starts in a row failed; connecting in 15 s" in await next_log_line(bot, "in a row")
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        metrics = (await answer.text()).splitlines()
    assert "weekbot_failed_starts 3.0" in metrics
    assert "weekbot_gateway_sessions_allowed 1000.0" in metrics
    assert not place.server.gateway.connections
    bot.send_signal(signal.SIGTERM)
    await bot.communicate()
    assert bot.returncode == 0
    assert await recorded(place) == {}
