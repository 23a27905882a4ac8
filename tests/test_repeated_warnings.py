"""A failure that many deliveries share is logged once with its first delivery, then as one line a minute."""

import asyncio
import json
import logging

import pytest

from fakes import simulated
from weekbot.runtime.log import REPETITION_SECONDS, RepeatedWarnings, bind_log_context, formatter

log = logging.getLogger("weekbot.some")
AWAY, BUSY = "Discord cannot be reached", "Discord is having problems (503)"


async def attempts(trouble: RepeatedWarnings, reason: str, count: int, seconds: float) -> None:
    """Log this many failures, spread over this time, each about a different channel."""

    async def fail(channel: int) -> None:
        bind_log_context({"channel": channel})
        trouble.warn(reason, "tried again: %s", reason)

    for channel in range(count):
        await asyncio.create_task(fail(channel))
        await asyncio.sleep(seconds / count)


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level and record.name == log.name]


def test_hundreds_of_failures_are_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), AWAY, 600, 5 * REPETITION_SECONDS - 1)
        await asyncio.sleep(REPETITION_SECONDS)

    with caplog.at_level(logging.DEBUG):
        simulated(fail())
    first, *others = lines(caplog)
    assert first == f"tried again: {AWAY}"
    assert len(others) == 5
    assert all(
        line.startswith("in the last minute ") and line.endswith(f" more posts failed: {AWAY}") for line in others
    )
    assert sum(int(line.split()[4]) for line in others) == 599
    assert lines(caplog, logging.DEBUG) == [f"tried again: {AWAY}"] * 599


def test_each_reason_has_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        trouble = RepeatedWarnings(log, "posts failed")
        await asyncio.gather(attempts(trouble, AWAY, 3, 1), attempts(trouble, BUSY, 2, 1))
        await asyncio.sleep(REPETITION_SECONDS)

    simulated(fail())
    assert sorted(lines(caplog)) == sorted(
        [
            f"tried again: {AWAY}",
            f"tried again: {BUSY}",
            f"in the last minute 2 more posts failed: {AWAY}",
            f"in the last minute 1 more posts failed: {BUSY}",
        ]
    )


def test_what_fails_now_and_then_has_all_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), AWAY, 4, 4 * (REPETITION_SECONDS + 1))

    simulated(fail())
    assert lines(caplog) == [f"tried again: {AWAY}"] * 4


def test_a_line_about_many_is_not_about_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), AWAY, 2, 1)
        await asyncio.sleep(REPETITION_SECONDS)

    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(formatter("json"))
    log.addHandler(handler)
    try:
        simulated(fail())
    finally:
        log.removeHandler(handler)
    first, many = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["channel"] == 0
    assert "channel" not in many
