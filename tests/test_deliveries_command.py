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

Ask = Callable[..., Awaitable[Result]]
PAGE = (Path(__file__).parents[1] / "docs" / "deliveries.md").read_text("utf-8")
INSTANT = r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def ask(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run `weekbot deliveries` with these arguments on the test's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)

    async def call(*arguments: str) -> Result:
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, cli, ["deliveries", *arguments], catch_exceptions=False)

    return call


async def table(ask: Ask, *arguments: str) -> list[str]:
    """Return the lines below the head; the command succeeds and writes nothing else."""
    result = await ask(*arguments)
    head, *lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert head.split() == ["due", "status", "channel", "topic"]
    return lines


async def objects(ask: Ask, *arguments: str) -> list[dict[str, Any]]:
    result = await ask("--format", "json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


# For people


async def test_a_post_is_a_line_with_a_line_for_its_attempt(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    assert await table(ask) == [
        "2026-11-23T09:00:00Z  sent        11                   flask",
        "    1. 2026-11-23T09:00:00Z to 2026-11-23T09:00:00Z, sent",
    ]


async def test_one_that_was_sent_after_trouble_tells_of_it(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.before = [TROUBLE]
    await bot.tick(SLOT)
    _, first, second = await table(ask)
    assert re.fullmatch(rf"    1\. {INSTANT} to {INSTANT}, unknown: Discord is having problems \(503\)", first)
    assert re.fullmatch(rf"    2\. {INSTANT} to {INSTANT}, sent", second)


async def test_one_that_was_killed_and_then_found(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.dies_after = {1}
    await bot.tick_and_die(SLOT)
    _, first = await table(ask)
    assert first == "    1. 2026-11-23T09:00:00Z, its outcome is unknown so far"
    await bot.tick(SLOT + timedelta(hours=1))
    _, first, second = await table(ask)
    assert first == "    1. 2026-11-23T09:00:00Z, its outcome is unknown"
    assert second == "    2. 2026-11-23T10:00:00Z to 2026-11-23T10:00:00Z, found in the history"


async def test_a_reason_is_told_once(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    blocked, attempt = await table(ask)
    assert blocked == "2026-11-23T09:00:00Z  blocked     11                   flask"
    assert attempt.endswith(f"refused: {REFUSED}")


async def test_one_that_waits_says_until_when(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN_FOR_HOURS]
    await bot.tick(SLOT)
    pending, attempt, waiting = await table(ask)
    assert "  pending  " in pending
    assert attempt.endswith("not sent: Discord cannot be reached")
    assert waiting == "    next attempt at 2026-11-23T11:00:00Z"


async def test_what_was_never_attempted_has_its_reason(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    await bot.skip()
    await bot.tick(SLOT + timedelta(hours=25))
    missed, why, skipped, who = await table(ask)
    assert missed == "2026-11-23T09:00:00Z  missed      11                   django"
    assert why == "    weekbot was not running"
    assert skipped == "2026-11-23T08:00:00Z  skipped     11                   flask (manual)"
    assert who == "    a moderator skipped the topic"


async def test_an_unverified_one_says_why_nobody_could_tell(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.nonce = timedelta()
    bot.sender.after, bot.sender.finding = [CUT], [UNREADABLE]
    await bot.tick(SLOT)
    await bot.tick(SLOT + SETTLED_AFTER)
    unverified, first, second = await table(ask, "--status", "unverified")
    assert "  unverified  " in unverified
    assert first.endswith(f"unknown: {CUT}")
    assert second.endswith(f"unknown: {UNREADABLE}")


async def test_what_an_older_version_attempted_is_counted(bot: Bot, ask: Ask, database: Database) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    async with database.write() as connection:
        await connection.execute(text("UPDATE deliveries SET attempts = 3, attempt_at = NULL"))
    assert (await table(ask))[1:] == ["    3 attempts not recorded"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_discord_says_cannot_control_the_terminal(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.before = [PermanentError("no\nway\x1b[2J")]
    await bot.tick(SLOT)
    assert (await table(ask))[1].endswith(r"refused: no way\x1b[2J")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("width", [80, 120])
async def test_in_a_terminal_no_line_is_too_long(
    bot: Bot, ask: Ask, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("weekbot.cli.deliveries._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    await bot.subscribe(10**18 + 1)
    words = "the forum requires a tag; give it one that weekbot may use " * 4
    bot.sender.before = [PermanentError(words)]
    await bot.tick(SLOT)
    _, *lines = await table(ask)
    assert len(lines) > 2
    assert max(map(len, lines)) <= width
    assert words.strip() in " ".join(line.strip() for line in lines)


# For programs


async def test_json_has_a_line_for_each_with_the_documented_keys(bot: Bot, ask: Ask) -> None:
    channel = 10**18 + 1
    await bot.subscribe(channel)
    bot.sender.before = [REFUSED]
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    sent, blocked = await objects(ask)
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


async def test_an_attempt_without_an_end_has_null_there(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    bot.sender.dies_before = {1}
    await bot.tick_and_die(SLOT)
    [pending] = await objects(ask)
    assert (pending["attempts"][0]["ended_at"], pending["attempts"][0]["outcome"]) == (None, None)
    assert pending["next_attempt_at"] == "2026-11-23T09:00:45.000000Z"


def test_the_page_tells_all_statuses_and_outcomes() -> None:
    assert [f"| `{each}` |" for each in (*State, *Outcome) if f"| `{each}` |" not in PAGE] == []


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_every_state_can_be_asked_for(ask: Ask, state: State) -> None:
    assert (await ask("--status", state)).exit_code == 0


# Filters and limits


async def test_the_options_choose(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    assert {each["channel"] for each in await objects(ask, "--guild", str(GUILD))} == {str(CHANNEL)}
    assert {each["guild"] for each in await objects(ask, "--channel", str(OTHER))} == {str(GUILD + 1)}
    late = await objects(ask, "--since", "2026-11-24")
    assert {each["due"] for each in late} == {"2026-11-30T09:00:00.000000Z"}
    assert await objects(ask, "--since", "2026-11-30") == late
    assert len(await objects(ask, "--status", "sent")) == 4


async def test_what_is_beyond_the_limit_is_said_beside(bot: Bot, ask: Ask) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    await bot.tick(SLOT + timedelta(weeks=1))
    result = await ask("--limit", "1", "--format", "json")
    assert [json.loads(line)["topic"] for line in result.stdout.splitlines()] == ["django"]
    assert result.stderr == "There are more than 1. To show more, use --limit.\n"
    assert len(await objects(ask, "--limit", "2")) == 2


async def test_where_there_is_none_it_says_so(ask: Ask) -> None:
    for arguments in ([], ["--channel", str(2**63 - 1)]):
        result = await ask(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There are no matching posts.\n")


@pytest.mark.parametrize("day", ["yesterday", "2026-1-5", "20261123", "2026-W48-1", "2026-02-30", "٢٠٢٦-١١-٢٣", ""])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_is_no_date_is_wrong_usage(ask: Ask, day: str) -> None:
    result = await ask("--since", day)
    assert (result.exit_code, result.stdout) == (2, "")
    words = " ".join(result.stderr.replace("│", " ").split())
    assert f"{day!r} isn't a valid date. Use YYYY-MM-DD, for example 2026-11-23." in words


@pytest.mark.parametrize("arguments", [["--channel", "general"], ["--guild", str(2**63)], ["--limit", "0"]])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_wrong_usage_exits_with_2(ask: Ask, arguments: list[str]) -> None:
    result = await ask(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


# Beside a running bot, and without a database


async def test_it_runs_beside_a_bot_and_changes_nothing(bot: Bot, ask: Ask, database: Database) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    async with process_lock(database), database.write():
        assert len(await objects(ask)) == 1


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_role_that_may_only_read_is_enough(bot: Bot, ask: Ask, database: Database, url: str) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    name = make_url(url).database
    async with database.write() as connection:
        await connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    assert len(await objects(ask)) == 1


def refusal(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence with which the command fails."""
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    monkeypatch.setattr(sys, "argv", ["weekbot", "deliveries"])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err.count("\n")) == (1, "", 1)
    return err


def test_where_there_is_no_database_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("sqlite:///weekbot.db", monkeypatch, capsys).startswith("There is no database weekbot.db; ")
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
    assert sentence in refusal(f"sqlite:///{file}", monkeypatch, capsys)


def test_what_is_no_database_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no database at all" * 100)
    assert "cannot be used" in refusal(f"sqlite:///{tmp_path / 'notes.txt'}", monkeypatch, capsys)
