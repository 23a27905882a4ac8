"""A failure that many deliveries share is logged once for the first delivery, then as one line a minute."""

import asyncio
import json
import logging

import pytest

from fakes import simulated
from weekbot.runtime.log import REPETITION_SECONDS, RepeatedWarnings, bind_log_context, formatter

log = logging.getLogger("weekbot.some")
UNREACHABLE, BUSY = "Discord cannot be reached", "Discord is having problems (503)"


async def attempts(warnings: RepeatedWarnings, reason: str, count: int, seconds: float) -> None:
    """Log a number of failures, spread over the seconds, each for a different channel."""

    async def fail(channel: int) -> None:
        bind_log_context({"channel": channel})
        warnings.warn(reason, "tried again: %s", reason)

    for channel in range(count):
        await asyncio.create_task(fail(channel))
        await asyncio.sleep(seconds / count)


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level and record.name == log.name]


def test_hundreds_of_failures_are_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), UNREACHABLE, 600, 5 * REPETITION_SECONDS - 1)
        await asyncio.sleep(REPETITION_SECONDS)

    with caplog.at_level(logging.DEBUG):
        simulated(fail())
    first, *others = lines(caplog)
    assert first == f"tried again: {UNREACHABLE}"
    assert len(others) == 5
    assert all(
        line.startswith("in the last minute ") and line.endswith(f" more posts failed: {UNREACHABLE}")
        for line in others
    )
    assert sum(int(line.split()[4]) for line in others) == 599
    assert lines(caplog, logging.DEBUG) == [f"tried again: {UNREACHABLE}"] * 599


def test_each_reason_has_its_own_lines(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        warnings = RepeatedWarnings(log, "posts failed")
        await asyncio.gather(attempts(warnings, UNREACHABLE, 3, 1), attempts(warnings, BUSY, 2, 1))
        await asyncio.sleep(REPETITION_SECONDS)

    simulated(fail())
    assert sorted(lines(caplog)) == sorted(
        [
            f"tried again: {UNREACHABLE}",
            f"tried again: {BUSY}",
            f"in the last minute 2 more posts failed: {UNREACHABLE}",
            f"in the last minute 1 more posts failed: {BUSY}",
        ]
    )


def test_occasional_failures_are_all_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), UNREACHABLE, 4, 4 * (REPETITION_SECONDS + 1))

    simulated(fail())
    assert lines(caplog) == [f"tried again: {UNREACHABLE}"] * 4


def test_a_summary_line_has_no_channel(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        await attempts(RepeatedWarnings(log, "posts failed"), UNREACHABLE, 2, 1)
        await asyncio.sleep(REPETITION_SECONDS)

    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(formatter("json"))
    log.addHandler(handler)
    try:
        simulated(fail())
    finally:
        log.removeHandler(handler)
    first, summary = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["channel"] == 0
    assert "channel" not in summary
