"""The command line: its output and exit codes."""

import asyncio
import json
import logging
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner

import weekbot.setting_sources
from conftest import CONTENT
from weekbot import __version__
from weekbot.__main__ import main
from weekbot.cli.main import cli
from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.runtime.errors import WeekbotError

TOKEN = "hunter2"
FLASK = Path("content/topics/flask.md")


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    err: str


Shell = Callable[..., CommandResult]


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Restore logging, because `run` sends all logs to the stderr of the command."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a copy of the real content, and no settings."""
    for name in os.environ:
        if name.upper().startswith("WEEKBOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path / "no-secrets")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONTENT, tmp_path / "content")
    return tmp_path


@pytest.fixture
def weekbot_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run `weekbot` with these arguments."""

    def call(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["weekbot", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return CommandResult(int(exit_.value.code or 0), out, err)

    return call


def replace_line(path: Path, key: str, line: str) -> int:
    """Replace the key's line in the front matter, and return its number."""
    lines = path.read_text("utf-8").split("\n")
    number = next(number for number, old in enumerate(lines, 1) if old.startswith(f"{key}:"))
    lines[number - 1] = line
    path.write_text("\n".join(lines), "utf-8")
    return number


def assert_one_sentence(result: CommandResult) -> None:
    assert result.code == 1
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err


# content check


def test_valid_content_exits_with_0(weekbot_command: Shell, library: Library) -> None:
    result = weekbot_command("content", "check")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"content: no problems in {len(library.topics)} topics\n"


def test_each_problem_is_a_line_with_its_position_and_exits_with_1(weekbot_command: Shell) -> None:
    line = replace_line(FLASK, "homepage", "homepage: http://example.org")
    result = weekbot_command("content", "check")
    assert result == CommandResult(1, f"{FLASK}:{line}:1: homepage must start with https://\n", "1 problem\n")


def test_a_folder_can_be_given(weekbot_command: Shell, working_directory: Path) -> None:
    (working_directory / "content").rename(working_directory / "elsewhere")
    replace_line(Path("elsewhere/topics/flask.md"), "tags", "tags: x")
    replace_line(Path("elsewhere/topics/numpy.md"), "tags", "tags: x")
    result = weekbot_command("content", "check", "elsewhere")
    assert [line.partition(":")[0] for line in result.out.splitlines()] == [
        "elsewhere/topics/flask.md",
        "elsewhere/topics/numpy.md",
    ]
    assert (result.code, result.err) == (1, "2 problems\n")


def test_the_github_format_annotates_lines(weekbot_command: Shell) -> None:
    line = replace_line(FLASK, "homepage", "homepage: http://100%.org")
    related = replace_line(FLASK, "related", "related: [100%]")
    result = weekbot_command("content", "check", "--format", "github")
    assert result.code == 1
    assert result.out.splitlines() == [
        f"::error file={FLASK},line={line},col=1::homepage must start with https://",
        f"::error file={FLASK},line={related},col=11::related: there is no topic 100%25",
        f"::error file={FLASK},line={related},col=11::related[1] must match ^[a-z0-9]+(-[a-z0-9]+)*$",
    ]


def test_the_json_format_lists_problems(weekbot_command: Shell) -> None:
    line = replace_line(FLASK, "homepage", "homepage: http://example.org")
    result = weekbot_command("content", "check", "--format", "json")
    message = "homepage must start with https://"
    assert result.code == 1
    assert json.loads(result.out) == [{"path": str(FLASK), "line": line, "column": 1, "message": message}]


HOSTILE_KEY = r'"\e[2J\u202e\x7f\n::error::x": x'
ESCAPED_KEY = r"\x1b[2J\u202e\x7f\n::error::x is not a known key"


def test_no_format_lets_a_file_control_the_terminal(weekbot_command: Shell) -> None:
    line = replace_line(FLASK, "tags", HOSTILE_KEY)
    assert weekbot_command("content", "check").out == f"{FLASK}:{line}:1: {ESCAPED_KEY}\n"
    github = f"::error file={FLASK},line={line},col=1::{ESCAPED_KEY}\n"
    assert weekbot_command("content", "check", "--format", "github").out == github
    output = weekbot_command("content", "check", "--format", "json").out
    assert all(character == "\n" or character.isprintable() for character in output)
    assert json.loads(output)[0]["message"] == "\x1b[2J\u202e\x7f\n::error::x is not a known key"


def test_a_file_cannot_control_a_colour_terminal(weekbot_command: Shell) -> None:
    replace_line(FLASK, "tags", HOSTILE_KEY)
    assert ESCAPED_KEY in re.sub(r"\x1b\[\d*m", "", on_a_terminal())


@pytest.mark.parametrize("command", [["content", "list"], ["content", "test"], ["content", "plan"]], ids=" ".join)
def test_an_error_that_quotes_a_file_cannot_control_the_terminal(weekbot_command: Shell, command: list[str]) -> None:
    replace_line(FLASK, "tags", HOSTILE_KEY)
    result = weekbot_command(*command)
    assert_one_sentence(result)
    assert ESCAPED_KEY in result.err


def test_an_error_that_quotes_an_argument_cannot_control_the_terminal(weekbot_command: Shell) -> None:
    result = weekbot_command("content", "plan", "\x1b[2J")
    assert_one_sentence(result)
    assert result.err.startswith(r"There is no track \x1b[2J;")


def test_a_file_name_cannot_control_the_terminal(weekbot_command: Shell) -> None:
    FLASK.with_name("a\x1b\n\u202e.md").write_bytes(b"")
    for form in ("text", "github", "json"):
        output = weekbot_command("content", "check", "--format", form).out
        assert r"a\x1b\n\u202e.md" in output.replace(r"\u001b", r"\x1b")
        assert all(character == "\n" or character.isprintable() for character in output)


def test_the_json_format_without_problems_is_an_empty_list(weekbot_command: Shell) -> None:
    result = weekbot_command("content", "check", "--format", "json")
    assert (result.code, json.loads(result.out)) == (0, [])


def on_a_terminal(**environment: str) -> str:
    """Return what the check writes to a terminal."""
    terminal, other_end = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "weekbot", "content", "check"],
        stdout=other_end,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "TERM": "xterm"} | environment,
        check=False,
    )
    os.close(other_end)
    output = os.read(terminal, 10_000).decode().replace("\r\n", "\n")
    os.close(terminal)
    return output


def test_problems_are_coloured_only_on_a_terminal(weekbot_command: Shell) -> None:
    line = replace_line(FLASK, "homepage", "homepage: http://example.org")
    plain = f"{FLASK}:{line}:1: homepage must start with https://\n"
    coloured = on_a_terminal()
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    assert on_a_terminal(NO_COLOR="1") == on_a_terminal(TERM="dumb") == plain
    assert weekbot_command("content", "check").out == plain


def test_a_missing_folder_is_a_problem(weekbot_command: Shell) -> None:
    result = weekbot_command("content", "check", "nowhere")
    assert result == CommandResult(
        1, "nowhere:1:1: no topics here; expected topics/*.md and tracks.yaml\n", "1 problem\n"
    )


# content list and plan


def test_list_shows_each_topic_with_its_category_and_tracks_in_reading_order(
    weekbot_command: Shell, library: Library
) -> None:
    result = weekbot_command("content", "list")
    rows = [re.split(r" {2,}", line) for line in result.out.splitlines()]
    assert (result.code, result.err) == (0, "")
    assert [row[0] for row in rows] == list(library.topics)
    assert ["flask", "web", "web, everything"] in rows
    assert ["robot-framework", "testing", "testing, beyond-web, everything"] in rows


def test_plan_shows_a_topic_for_each_week_and_repeats_the_track(weekbot_command: Shell, library: Library) -> None:
    result = weekbot_command("content", "plan", "start-here", "--weeks", "6", "--start", "2026-12-16")
    titles = [library.topics[slug].title for slug in library.tracks["start-here"].topics]
    assert result.code == 0
    assert result.out.splitlines() == [
        f"2026-W51  2026-12-14  {titles[0]}",
        f"2026-W52  2026-12-21  {titles[1]}",
        f"2026-W53  2026-12-28  {titles[2]}",
        f"2027-W01  2027-01-04  {titles[3]}",
        f"2027-W02  2027-01-11  {titles[4]}",
        f"2027-W03  2027-01-18  {titles[0]}",
    ]


def test_plan_shows_twelve_weeks_of_everything_by_default(weekbot_command: Shell, library: Library) -> None:
    planned = [line.split("  ")[2] for line in weekbot_command("content", "plan").out.splitlines()]
    assert planned == [topic.title for topic in library.topics.values()][:12]


def test_a_plan_of_an_unknown_track_lists_the_existing_tracks(weekbot_command: Shell, library: Library) -> None:
    result = weekbot_command("content", "plan", "cobol")
    assert_one_sentence(result)
    assert result.err == f"There is no track cobol; choose one of {', '.join(library.tracks)}.\n"


def test_a_plan_beyond_the_calendar_has_no_traceback(weekbot_command: Shell) -> None:
    assert weekbot_command("content", "plan", "--start", "9999-12-30").code in (1, 2)


@pytest.mark.parametrize("command", ["list", "plan"])
def test_commands_that_need_valid_content_report_its_problems(weekbot_command: Shell, command: str) -> None:
    line = replace_line(FLASK, "homepage", "homepage: http://example.org")
    result = weekbot_command("content", command)
    assert_one_sentence(result)
    assert result.err == f"{FLASK}:{line}:1: homepage must start with https://\n"


# content new


@pytest.mark.parametrize("concept", [False, True])
def test_a_new_topic_reports_only_missing_contents(weekbot_command: Shell, concept: bool) -> None:
    path = Path("content/topics/my-topic.md")
    result = weekbot_command("content", "new", "my-topic", *(["--concept"] if concept else []))
    assert (result.code, result.err) == (0, "")
    assert str(path) in result.out
    assert "title: My topic" in path.read_text()
    reported = weekbot_command("content", "check").out.splitlines()
    assert all(line.startswith(f"{path}:") for line in reported)
    messages = " ".join(line.partition(": ")[2] for line in reported)
    for part in ("category", "summary", "sources[1]", "What it is", "The week[1]", "The week[7]", "tracks.yaml"):
        assert part in messages
    for part in (
        "package",
        "homepage",
        "licence",
        "first_release",
        "python",
        "When to choose it",
        "First steps.example",
    ):
        assert (part in messages) is not concept
    assert ("Why it matters" in messages) is concept
    for wrong in ("unknown", "not a known key", "out of order", "twice", "YAML", "is missing", "title", "reviewed"):
        assert wrong not in messages


@pytest.mark.parametrize("concept", [False, True])
def test_a_completed_new_topic_is_valid(weekbot_command: Shell, concept: bool) -> None:
    """The contents are copied from an existing topic, so the scaffold must have every part."""
    weekbot_command("content", "new", "my-topic", *(["--concept"] if concept else []))
    model = Path("content/topics") / ("what-is-a-framework.md" if concept else "flask.md")
    path = Path("content/topics/my-topic.md")
    facts = {line.partition(":")[0]: line for line in model.read_text("utf-8").split("---")[1].splitlines() if line}
    _, scaffolded, body = path.read_text("utf-8").split("---\n", 2)
    keep = ("title", "aliases", "reviewed", "sources", "  - https")
    filled = [line if line.startswith(keep) else facts[line.partition(":")[0]] for line in scaffolded.splitlines()]
    front = "\n".join(filled).replace("  - https://", "  - https://example.org")
    headings = [line for line in body.splitlines() if line.startswith("## ")]
    model_body = model.read_text("utf-8").split("---\n", 2)[2]
    assert headings == [line for line in model_body.splitlines() if line.startswith("## ")]
    path.write_text(f"---\n{front}\n---\n{model_body}", "utf-8")
    tracks = Path("content/tracks.yaml")
    tracks.write_text(tracks.read_text("utf-8").replace("- flask\n", "- my-topic\n      - flask\n", 1), "utf-8")
    assert weekbot_command("content", "check").code == 0
    assert "my-topic" in weekbot_command("content", "list").out


def test_an_existing_slug_is_not_overwritten(weekbot_command: Shell) -> None:
    before = FLASK.read_bytes()
    result = weekbot_command("content", "new", "flask")
    assert_one_sentence(result)
    assert result.err == f"{FLASK} already exists; edit it, or choose another slug.\n"
    assert FLASK.read_bytes() == before


def test_a_new_topic_reports_all_missing_contents(weekbot_command: Shell) -> None:
    weekbot_command("content", "new", "my-topic")
    messages = weekbot_command("content", "check").out
    for part in ("First steps.install", "Discuss", "Quiz.question", "Quiz.why"):
        assert part in messages


@pytest.mark.parametrize("slug", ["My-Topic", "my topic", "../evil", "a/b", "-", "a--b", "ä", "", "x" * 41, "a\n"])
def test_an_invalid_slug_is_rejected_and_nothing_is_written(
    weekbot_command: Shell, working_directory: Path, slug: str
) -> None:
    before = sorted(working_directory.rglob("*"))
    result = weekbot_command("content", "new", "--", slug)
    assert result.code == 1
    assert "isn't a slug. Use lowercase letters, digits and hyphens, such as my-topic." in result.err
    assert sorted(working_directory.rglob("*")) == before


def test_a_file_as_the_content_folder_is_reported(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, working_directory: Path
) -> None:
    (working_directory / "file").write_text("")
    monkeypatch.setenv("WEEKBOT_CONTENT_DIR", "file")
    result = weekbot_command("content", "new", "my-topic")
    assert_one_sentence(result)
    assert result.err == "file isn't a folder; check WEEKBOT_CONTENT_DIR.\n"


# content schema


@pytest.fixture
def schema(weekbot_command: Shell) -> jsonschema_rs.Draft202012Validator:
    result = weekbot_command("content", "schema")
    assert (result.code, result.err) == (0, "")
    assert jsonschema_rs.meta.is_valid(json.loads(result.out))
    return jsonschema_rs.Draft202012Validator(json.loads(result.out), validate_formats=True)


def test_the_schema_in_the_content_folder_is_the_current_one(weekbot_command: Shell) -> None:
    assert Path("content/topic.schema.json").read_text("utf-8") == weekbot_command("content", "schema").out


@pytest.mark.parametrize("concept", [False, True])
def test_every_topic_and_the_scaffold_reference_the_schema(weekbot_command: Shell, concept: bool) -> None:
    weekbot_command("content", "new", "my-topic", *(["--concept"] if concept else []))
    for path in originals():
        modeline = path.read_text("utf-8").split("\n")[1]
        assert (path.parent / modeline.removeprefix("# yaml-language-server: $schema=")).is_file(), path


def originals() -> list[Path]:
    """Return the topic files, without translations."""
    return [path for path in sorted(Path("content/topics").glob("*.md")) if "." not in path.stem]


def front_matter(path: Path) -> dict[str, Any]:
    """Return the front matter as editors read it, with dates as text."""
    facts = yaml.safe_load(path.read_text("utf-8").split("---\n")[1])
    assert isinstance(facts, dict)
    return facts | {"reviewed": str(facts["reviewed"])}


def test_the_schema_accepts_every_real_topic(schema: jsonschema_rs.Draft202012Validator) -> None:
    for path in originals():
        assert [error.message for error in schema.iter_errors(front_matter(path))] == [], path


@pytest.mark.parametrize(
    "mistake",
    [
        {"tagz": ["a"]},
        {"kind": "library"},
        {"kind": "concept"},
        {"category": "games"},
        {"title": ""},
        {"title": "x" * 61},
        {"tags": "wsgi"},
        {"tags": list("abcdefg")},
        {"related": ["Not A Slug"]},
        {"sources": []},
        {"reviewed": "yesterday"},
        {"first_release": 1066},
        {"status": "gone"},
        {"heavy": "very"},
        {"version": ""},
        {"differs": {"title": "It does."}},
        {"needs": "httpx"},
    ],
    ids=str,
)
def test_the_schema_rejects_a_mistake(schema: jsonschema_rs.Draft202012Validator, mistake: dict[str, Any]) -> None:
    assert schema.is_valid(front_matter(FLASK))
    assert not schema.is_valid(front_matter(FLASK) | mistake)


@pytest.mark.parametrize("key", ["title", "category", "summary", "package", "homepage", "sources", "python"])
def test_the_schema_requires_a_key(schema: jsonschema_rs.Draft202012Validator, key: str) -> None:
    facts = front_matter(FLASK)
    del facts[key]
    assert not schema.is_valid(facts)


# the database


def test_db_upgrade_creates_the_database_and_can_be_repeated(weekbot_command: Shell, working_directory: Path) -> None:
    for _ in range(2):
        assert weekbot_command("db", "upgrade") == CommandResult(0, "The database is up to date.\n", "")
    assert (working_directory / "weekbot.db").is_file()
    with sqlite3.connect(working_directory / "weekbot.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {"subscriptions", "deliveries", "guilds"} <= tables


@pytest.mark.parametrize("command", [["db", "upgrade"], ["run"]], ids=" ".join)
def test_a_database_from_a_newer_version_is_not_changed(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, working_directory: Path, command: list[str]
) -> None:
    asyncio.run(create_future_database(working_directory / "weekbot.db"))
    before = (working_directory / "weekbot.db").read_bytes()
    monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", TOKEN)
    monkeypatch.setenv("WEEKBOT_DISCORD_API_URL", "http://127.0.0.1:9")
    result = weekbot_command(*command)
    assert_one_sentence(result)
    assert "from a newer weekbot" in result.err
    assert "9999" in result.err
    assert TOKEN not in result.err
    assert (working_directory / "weekbot.db").read_bytes() == before


async def create_future_database(path: Path) -> None:
    await upgrade(f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///content/tracks.yaml",
        f"{TOKEN}",
        f"mysql://user:{TOKEN}@host/db",
    ],
)
def test_an_unusable_database_is_reported_in_one_sentence(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    result = weekbot_command("db", "upgrade")
    assert_one_sentence(result)
    assert "WEEKBOT_DATABASE_URL" in result.err
    assert TOKEN not in result.err


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/weekbot.db", "sqlite:///content"])
def test_a_database_that_cannot_be_opened_is_reported_in_one_sentence(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    crashes: list[object] = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    before = set(threading.enumerate())
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    assert_one_sentence(weekbot_command("db", "upgrade"))
    # Chance decides whether the thread or the loop ends first; in this many runs, the thread is last at least once.
    for _ in range(60):
        with pytest.raises(WeekbotError):
            asyncio.run(upgrade(url))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert crashes == []


async def upgrade(url: str) -> None:
    database = Database(url)
    try:
        await database.upgrade()
    finally:
        await database.close()


@pytest.mark.parametrize("url", [f"postgresql://user@host:{TOKEN}/db", "sqlite://host/weekbot.db"])
def test_an_invalid_database_url_is_reported_in_one_sentence(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    result = weekbot_command("db", "upgrade")
    assert_one_sentence(result)
    assert TOKEN not in result.err


# run and other commands


@pytest.mark.parametrize("token", [None, "", "  "])
def test_run_without_a_token_names_the_variable(
    weekbot_command: Shell, monkeypatch: pytest.MonkeyPatch, working_directory: Path, token: str | None
) -> None:
    if token is not None:
        monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", token)
    result = weekbot_command("run")
    assert_one_sentence(result)
    assert result.err.startswith("WEEKBOT_DISCORD_TOKEN is not set. ")
    assert not (working_directory / "weekbot.db").exists()


@pytest.mark.parametrize("command", [["run"], ["db", "upgrade"], ["content", "list"]], ids=" ".join)
def test_an_invalid_setting_is_reported_without_its_value(
    weekbot_command: Shell, working_directory: Path, command: list[str]
) -> None:
    (working_directory / ".env").write_text(f"WEEKBOT_SHARD_COUNT={TOKEN}\nWEEKBOT_DISCORD_TOKEN={TOKEN}\n")
    result = weekbot_command(*command)
    assert_one_sentence(result)
    assert result.err.startswith("WEEKBOT_SHARD_COUNT: ")
    assert TOKEN not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["content"],
        ["content", "nonsense"],
        ["content", "check", "--format", "xml"],
        ["content", "list", "too", "much"],
        ["content", "new"],
        ["content", "plan", "--weeks", "0"],
        ["content", "plan", "--start", "monday"],
        ["db", "nonsense"],
        ["demo", "--port", "70000"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(weekbot_command: Shell, arguments: list[str]) -> None:
    result = weekbot_command(*arguments)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert "Usage" in result.err + result.out


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["content", "-h"], ["content", "check", "-h"], ["db", "-h"]])
def test_every_command_has_help(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_the_version_is_shown(weekbot_command: Shell) -> None:
    assert weekbot_command("--version") == CommandResult(0, f"weekbot {__version__}\n", "")
