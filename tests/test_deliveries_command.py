"""`weekbot deliveries`: its output for people and for programs."""

import asyncio
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from fakes import CHANNEL, GUILD, OTHER, SLOT, Bot
from test_delivery import CUT, DOWN_FOR_HOURS, REFUSED, UNREADABLE
from test_delivery_history import TROUBLE
from weekbot.__main__ import main
from weekbot.cli.main import cli
from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.delivery.errors import PermanentError
from weekbot.delivery.posts import SETTLED_AFTER
from weekbot.domain.deliveries import Outcome, State

RunCommand = Callable[..., Awaitable[Result]]
PAGE = (Path(__file__).parents[1] / "docs" / "deliveries.md").read_text("utf-8")
INSTANT = r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def run_command(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Run `weekbot deliveries` with these arguments on the test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)

    async def call(*arguments: str) -> Result:
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, cli, ["deliveries", *arguments], catch_exceptions=False)

    return call


async def table(run_command: RunCommand, *arguments: str) -> list[str]:
    """Return the lines below the header, and check that the command writes nothing else."""
    result = await run_command(*arguments)
    head, *lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert head.split() == ["due", "status", "channel", "topic"]
    return lines


async def objects(run_command: RunCommand, *arguments: str) -> list[dict[str, Any]]:
    result = await run_command("--format", "json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


# For people


async def test_a_post_has_a_line_for_each_attempt(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    assert await table(run_command) == [
        "2026-11-23T09:00:00Z  sent        11                   flask",
        "    1. 2026-11-23T09:00:00Z to 2026-11-23T09:00:00Z, sent",
    ]


async def test_a_post_that_was_sent_after_an_error_shows_both_attempts(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.before = [TROUBLE]
    await bot.tick(SLOT)
    _, first, second = await table(run_command)
    assert re.fullmatch(rf"    1\. {INSTANT} to {INSTANT}, unknown: Discord is having problems \(503\)", first)
    assert re.fullmatch(rf"    2\. {INSTANT} to {INSTANT}, sent", second)


async def test_an_attempt_that_crashed_is_unknown_until_the_post_is_found(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    _, first = await table(run_command)
    assert first == "    1. 2026-11-23T09:00:00Z, its outcome is unknown so far"
    await bot.tick(SLOT + timedelta(hours=1))
    _, first, second = await table(run_command)
    assert first == "    1. 2026-11-23T09:00:00Z, its outcome is unknown"
    assert second == "    2. 2026-11-23T10:00:00Z to 2026-11-23T10:00:00Z, found in the history"


async def test_a_reason_is_shown_once(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    blocked, attempt = await table(run_command)
    assert blocked == "2026-11-23T09:00:00Z  blocked     11                   flask"
    assert attempt.endswith(f"refused: {REFUSED}")


async def test_a_pending_post_shows_its_next_attempt(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN_FOR_HOURS]
    await bot.tick(SLOT)
    pending, attempt, waiting = await table(run_command)
    assert "  pending  " in pending
    assert attempt.endswith("not sent: Discord cannot be reached")
    assert waiting == "    next attempt at 2026-11-23T11:00:00Z"


async def test_a_post_without_attempts_shows_its_reason(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    await bot.skip()
    await bot.tick(SLOT + timedelta(hours=25))
    missed, missed_reason, skipped, skipped_reason = await table(run_command)
    assert missed == "2026-11-23T09:00:00Z  missed      11                   django"
    assert missed_reason == "    weekbot was not running"
    assert skipped == "2026-11-23T08:00:00Z  skipped     11                   flask (manual)"
    assert skipped_reason == "    a moderator skipped the topic"


async def test_an_unverified_post_shows_why(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()
    bot.sender.after, bot.sender.finding = [CUT], [UNREADABLE]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    unverified, first, second = await table(run_command, "--status", "unverified")
    assert "  unverified  " in unverified
    assert first.endswith(f"unknown: {CUT}")
    assert second.endswith(f"unknown: {UNREADABLE}")


async def test_attempts_of_an_older_version_are_counted(bot: Bot, run_command: RunCommand, database: Database) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    async with database.write() as connection:
        await connection.execute(text("UPDATE deliveries SET attempts = 3, attempt_at = NULL"))
    assert (await table(run_command))[1:] == ["    3 attempts not recorded"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_text_from_discord_cannot_control_the_terminal(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.before = [PermanentError("no\nway\x1b[2J")]
    await bot.tick(SLOT)
    assert (await table(run_command))[1].endswith(r"refused: no way\x1b[2J")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("width", [80, 120])
async def test_lines_fit_the_terminal(
    bot: Bot, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("weekbot.cli.deliveries._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    await bot.subscribe(10**18 + 1)
    reason = "the forum requires a tag; give it one that weekbot may use " * 4
    bot.sender.before = [PermanentError(reason)]
    await bot.tick(SLOT)
    _, *lines = await table(run_command)
    assert len(lines) > 2
    assert max(map(len, lines)) <= width
    assert reason.strip() in " ".join(line.strip() for line in lines)


# For programs


async def test_json_has_one_line_per_post_with_the_documented_keys(bot: Bot, run_command: RunCommand) -> None:
    channel = 10**18 + 1
    await bot.subscribe(channel)
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    sent, blocked = await objects(run_command)
    id_ = (await bot.last(channel)).id
    [attempt] = sent.pop("attempts")
    assert sent == {
        "id": id_,
        "due": "2026-11-30T09:00:00.000000Z",
        "status": "sent",
        "guild": "1",
        "channel": str(channel),
        "topic": "flask",
        "scheduled": True,
        "reason": None,
        "sent_at": "2026-11-30T09:00:00.000000Z",
        "message": "1000",
        "message_channel": str(channel),
        "next_attempt_at": None,
        "attempts_made": 1,
    }
    assert attempt == {
        "number": 1,
        "began_at": "2026-11-30T09:00:00.000000Z",
        "ended_at": "2026-11-30T09:00:00.000000Z",
        "outcome": "sent",
        "reason": None,
    }
    assert (blocked["reason"], blocked["attempts"][0]["outcome"]) == (str(REFUSED), "refused")
    keys = {"attempts", *sent, *attempt}
    assert keys == set(re.findall(r"^\| `(\w+)` +\|", PAGE, re.MULTILINE)) - {*State, *Outcome}


async def test_an_unfinished_attempt_has_null_values(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    bot.sender.crashes_before = {1}
    await bot.tick_and_crash(SLOT)
    [pending] = await objects(run_command)
    assert (pending["attempts"][0]["ended_at"], pending["attempts"][0]["outcome"]) == (None, None)
    assert pending["next_attempt_at"] == "2026-11-23T09:00:45.000000Z"


def test_the_page_documents_all_statuses_and_outcomes() -> None:
    assert [f"| `{each}` |" for each in (*State, *Outcome) if f"| `{each}` |" not in PAGE] == []


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_every_status_can_be_selected(run_command: RunCommand, state: State) -> None:
    assert (await run_command("--status", state)).exit_code == 0


# Filters and limits


async def test_the_options_filter_posts(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    assert {each["channel"] for each in await objects(run_command, "--guild", str(GUILD))} == {str(CHANNEL)}
    assert {each["guild"] for each in await objects(run_command, "--channel", str(OTHER))} == {str(GUILD + 1)}
    late = await objects(run_command, "--since", "2026-11-24")
    assert {each["due"] for each in late} == {"2026-11-30T09:00:00.000000Z"}
    assert await objects(run_command, "--since", "2026-11-30") == late
    assert len(await objects(run_command, "--status", "sent")) == 4


async def test_posts_beyond_the_limit_are_reported_on_stderr(bot: Bot, run_command: RunCommand) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    result = await run_command("--limit", "1", "--format", "json")
    assert [json.loads(line)["topic"] for line in result.stdout.splitlines()] == ["django"]
    assert result.stderr == "There are more than 1. To show more, use --limit.\n"
    assert len(await objects(run_command, "--limit", "2")) == 2


async def test_no_matching_posts_are_reported_on_stderr(run_command: RunCommand) -> None:
    for arguments in ([], ["--channel", str(2**63 - 1)]):
        result = await run_command(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There are no matching posts.\n")


@pytest.mark.parametrize("day", ["yesterday", "2026-1-5", "20261123", "2026-W48-1", "2026-02-30", "٢٠٢٦-١١-٢٣", ""])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_an_invalid_date_is_wrong_usage(run_command: RunCommand, day: str) -> None:
    result = await run_command("--since", day)
    assert (result.exit_code, result.stdout) == (2, "")
    message = " ".join(result.stderr.replace("│", " ").split())
    assert f"{day!r} isn't a valid date. Use YYYY-MM-DD, for example 2026-11-23." in message


@pytest.mark.parametrize("arguments", [["--channel", "general"], ["--guild", str(2**63)], ["--limit", "0"]])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_wrong_usage_exits_with_2(run_command: RunCommand, arguments: list[str]) -> None:
    result = await run_command(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


# With a running bot, and without a database


async def test_it_runs_while_a_bot_writes(bot: Bot, run_command: RunCommand, database: Database) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    async with process_lock(database), database.write():
        assert len(await objects(run_command)) == 1


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_it_works_with_a_read_only_role(bot: Bot, run_command: RunCommand, database: Database, url: str) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    name = make_url(url).database
    async with database.write() as connection:
        await connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    assert len(await objects(run_command)) == 1


def error_of(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which fails, and return its error message."""
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    monkeypatch.setattr(sys, "argv", ["weekbot", "deliveries"])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err.count("\n")) == (1, "", 1)
    return err


def test_a_missing_database_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert error_of("sqlite:///weekbot.db", monkeypatch, capsys).startswith("There is no database weekbot.db; ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [("0007", "is not up to date; `weekbot run`, or"), ("9999", "is from a newer weekbot (revision 9999); use")],
)
def test_a_database_of_another_version_is_not_read(
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    revision: str,
    sentence: str,
) -> None:
    file = shutil.copy(sqlite_template, tmp_path / "weekbot.db")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()
    assert sentence in error_of(f"sqlite:///{file}", monkeypatch, capsys)


def test_a_file_that_is_not_a_database_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no database at all" * 100)
    assert "cannot be used" in error_of(f"sqlite:///{tmp_path / 'notes.txt'}", monkeypatch, capsys)
