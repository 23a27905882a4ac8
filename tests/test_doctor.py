"""`weekbot doctor` against a loopback Discord: green if all is well, and a finding for each problem."""

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from discord import Client, Intents
from psycopg import sql
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

import weekbot.cli.doctor
import weekbot.cli.terminal
from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Permission
from discord_server.thread import Thread
from postgres import database_url
from weekbot.bot.commands.registration import REGISTERED, described, digest_of, payloads
from weekbot.cli.main import cli
from weekbot.db.database import Database
from weekbot.db.revision import LATEST
from weekbot.delivery.token_users import Sign, TokenUsers
from weekbot.discord_io.errors import PERMISSION_MISSING
from weekbot.domain import subscription_rules
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.ops.doctor import account, checks, finding
from weekbot.ops.doctor.finding import Finding, Level
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings
from weekbot.store.guilds import Guilds
from weekbot.store.metadata import Metadata
from weekbot.store.subscriptions import Subscriptions

PASSWORD = "a-password-of-the-database"
LINE = re.compile(r"[✓!✗] (ok|warning|error) +(\w+) +(.+)")


@dataclass(frozen=True)
class Report:
    """The findings in the output, and the exit code."""

    findings: list[Finding]
    exit_code: int

    def of(self, part: str) -> list[tuple[Level, str]]:
        return [(each.level, each.sentence) for each in self.findings if each.part == part]

    def only(self, part: str) -> tuple[Level, str]:
        """Return the only finding on the part."""
        [found] = self.of(part)
        return found

    def problems(self) -> list[str]:
        """Return the parts with a warning or an error, in order."""
        return [each.part for each in self.findings if each.level is not Level.OK]


def report_of(output: str, exit_code: int) -> Report:
    """Parse the output, which may contain only findings."""
    matches = [LINE.fullmatch(line) for line in output.splitlines()]
    assert all(matches), output
    findings = [Finding(Level(match[1]), match[2], match[3]) for match in matches if match]
    assert exit_code == int(Level.ERROR in [each.level for each in findings])
    return Report(findings, exit_code)


@dataclass
class Installation:
    """A Discord with one server, a folder to run in, and the settings."""

    server: DiscordServer
    guild: Guild
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    async def doctor(self, *arguments: str, charset: str = "utf-8", **environment: str) -> Report:
        """Run the command in another thread, and check that it only reads and shows no secret."""
        variables = self.environment | environment
        before = len(self.server.requests)
        result = await asyncio.to_thread(
            CliRunner(charset=charset).invoke, cli, ["doctor", *arguments], env=variables, catch_exceptions=False
        )
        assert {request.call.method for request in self.server.requests[before:]} <= {"GET"}
        assert self.server.token not in result.output
        assert PASSWORD not in result.output
        return report_of(result.output, result.exit_code)

    @property
    def file(self) -> Path:
        return self.folder / "weekbot.db"

    async def register_commands(self, home_channel_id: int | None = None) -> str:
        """Register the bot's commands, and return their digest."""
        client = Client(intents=Intents.none())
        bodies = await payloads(described(client, has_home_channel=home_channel_id is not None))
        self.server.world.commands.replace(0, bodies)
        return digest_of(self.server.world.application.id, bodies)

    async def subscribe(self, channel: Channel, **options: Any) -> None:
        def build(current: Subscription | None, timezone: str) -> Subscription:
            parent_id = channel.parent.id if isinstance(channel, Thread) else None
            given = Choices(**options)
            made = subscription_rules.subscribe(
                current, channel.guild.id, channel.id, timezone, given, datetime.now(UTC)
            )
            return replace(made, parent_id=parent_id)

        database = Database(self.environment["WEEKBOT_DATABASE_URL"])
        await Subscriptions(database).put(channel.guild.id, channel.id, build)
        await database.close()


@pytest.fixture
async def installation(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    """Set up a bot without problems."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checks, "REQUESTS_PER_SECOND", 10_000)
    shutil.copy(sqlite_template, tmp_path / "weekbot.db")
    async with DiscordServer() as server:
        installation = Installation(server, server.add_guild("Pythonistas"), tmp_path)
        installation.environment |= {
            "WEEKBOT_DISCORD_TOKEN": server.token,
            "WEEKBOT_DISCORD_API_URL": server.api_url,
            "WEEKBOT_DATABASE_URL": f"sqlite:///{tmp_path / 'weekbot.db'}",
            "WEEKBOT_CONTENT_DIR": str(CONTENT),
            "WEEKBOT_REQUESTS_PER_SECOND": "10000",
        }
        await installation.register_commands()
        yield installation
        assert not server.unknown_requests


# Without problems


async def test_a_healthy_installation_has_no_problems(installation: Installation) -> None:
    before = installation.file.read_bytes()
    report = await installation.doctor()
    assert report.problems() == []
    assert report.exit_code == 0
    parts = [each.part for each in report.findings]
    assert parts == [
        "settings",
        "content",
        "database",
        "rows",
        "disk",
        "token",
        "commands",
        "intents",
        "gateway",
        "shards",
        "sessions",
    ]
    assert report.only("database")[1].endswith(f"is up to date (revision {LATEST}) and can be written to")
    assert installation.file.read_bytes() == before
    assert {path.name for path in installation.folder.iterdir()} == {"weekbot.db"}
    assert len(installation.server.requests) == 4


@pytest.mark.parametrize("home", [False, True])
async def test_a_healthy_running_bot_has_no_problems(installation: Installation, url: str, home: bool) -> None:
    channel = installation.guild.add_text_channel("weekly")
    installation.environment["WEEKBOT_DATABASE_URL"] = url
    if home:
        installation.environment["WEEKBOT_HOME_CHANNEL_ID"] = str(
            installation.guild.add_announcement_channel("home").id
        )
    bot = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "weekbot", "run"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **installation.environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await installation.server.ready()
        assert "First: " in (await installation.server.interact(channel, "weekly subscribe")).text
        report = await installation.doctor("--channels")
        assert report.problems() == []
        assert report.only("channel") == (Level.OK, "#weekly in Pythonistas")
        assert "Next: " in (await installation.server.interact(channel, "weekly status")).text
    finally:
        bot.terminate()
        errors = (await bot.communicate())[1].decode()
    assert bot.returncode == 0, errors
    assert "ERROR" not in errors


# Settings and content


async def test_each_invalid_setting_is_reported_and_the_rest_is_checked(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_LOG_LEVEL="LOUD", WEEKBOT_CATCH_UP_HOURS="-1")
    assert [sentence.split(":")[0] for _, sentence in report.of("settings")] == [
        "WEEKBOT_CATCH_UP_HOURS",
        "WEEKBOT_LOG_LEVEL",
    ]
    assert report.problems() == ["settings", "settings"]
    assert report.only("token")[0] is Level.OK


async def test_no_request_is_made_to_an_invalid_address(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DISCORD_API_URL="ftp://nowhere")
    assert report.only("settings")[1].startswith("WEEKBOT_DISCORD_API_URL: ")
    assert report.only("token") == (Level.WARNING, "not checked, because required settings are invalid")
    assert report.problems() == ["settings", "token", "commands", "intents", "gateway"]
    assert not installation.server.requests


async def test_an_unreadable_env_file_is_reported(installation: Installation) -> None:
    (installation.folder / ".env").write_bytes(b"WEEKBOT_LOG_LEVEL=\xff")
    report = await installation.doctor()
    assert report.only("settings")[1].startswith(".env is not valid UTF-8")
    assert report.problems() == ["settings"]


async def test_a_mistake_in_the_content_is_reported_with_its_position(installation: Installation) -> None:
    content = shutil.copytree(CONTENT, installation.folder / "content")
    flask = content / "topics" / "flask.md"
    flask.write_text(flask.read_text("utf-8").replace("licence: BSD-3-Clause\n", ""), "utf-8")
    report = await installation.doctor(WEEKBOT_CONTENT_DIR="content")
    level, sentence = report.only("content")
    assert level is Level.ERROR
    assert sentence.startswith("content/topics/flask.md:")
    assert "licence is missing" in sentence
    assert "`weekbot content check`" in sentence
    assert report.problems() == ["content"]


async def test_a_missing_content_folder_is_reported(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_CONTENT_DIR="gone")
    assert report.only("content") == (Level.ERROR, "There is no folder gone; check WEEKBOT_CONTENT_DIR.")
    assert report.problems() == ["content"]


# The database


async def test_a_missing_database_is_a_warning_and_is_not_created(installation: Installation) -> None:
    installation.file.unlink()
    report = await installation.doctor("--channels")
    level, sentence = report.only("database")
    assert level is Level.WARNING
    assert sentence.endswith("weekbot.db doesn't exist yet; `weekbot run` will create it.")
    assert report.problems() == ["database", "channels"]
    assert not list(installation.folder.iterdir())


async def test_a_database_in_a_missing_folder_is_an_error(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DATABASE_URL="sqlite:///gone/weekbot.db")
    assert (
        report.only("database")[1]
        == f"There is no folder {installation.folder}/gone; create it, or change WEEKBOT_DATABASE_URL."
    )
    assert report.problems() == ["database"]


async def test_a_database_in_memory_is_an_error(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DATABASE_URL="sqlite://")
    assert "lost when weekbot stops; use a file" in report.only("database")[1]
    assert report.problems() == ["database"]


def declare_read_only(file: Path) -> None:
    """Set byte 18 of the header: SQLite then reads the file, but leaves writing to a later version."""
    content = bytearray(file.read_bytes())
    content[18] = 3
    file.write_bytes(content)


def write_protect(file: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write to any file")
    file.chmod(0o444)


@pytest.mark.parametrize("protect", [declare_read_only, write_protect])
async def test_a_database_that_cannot_be_written_to_is_an_error(installation: Installation, protect: Any) -> None:
    await installation.subscribe(installation.guild.add_text_channel("weekly"))
    with sqlite3.connect(installation.file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    protect(installation.file)
    report = await installation.doctor("--channels")
    level, sentence = report.only("database")
    assert level is Level.ERROR
    assert "attempt to write a readonly database" in sentence
    assert "weekbot must be able to write to it" in sentence
    assert report.problems() == ["database"]
    assert report.only("channel")[0] is Level.OK


async def test_a_postgresql_database_that_cannot_be_written_to_is_an_error(
    installation: Installation, postgresql_template: str
) -> None:
    with database_url(postgresql_template) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            name = sql.Identifier(str(make_url(url).database))
            connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        report = await installation.doctor(WEEKBOT_DATABASE_URL=url)
    level, sentence = report.only("database")
    assert level is Level.ERROR
    assert "default_transaction_read_only is on" in sentence
    assert report.problems() == ["database"]


async def test_an_empty_postgresql_database_will_be_filled(installation: Installation) -> None:
    with database_url() as url:
        report = await installation.doctor(WEEKBOT_DATABASE_URL=url)
        with psycopg.connect(url) as connection:
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    level, sentence = report.only("database")
    assert level is Level.WARNING
    assert sentence.endswith("has no weekbot tables yet; `weekbot run` will create them.")
    assert report.exit_code == 0
    assert tables == (0,)


@pytest.mark.parametrize(
    ("revision", "level", "message"),
    [
        ("9999", Level.ERROR, "is from a newer weekbot (revision 9999). Install that version, or"),
        (
            "0006",
            Level.WARNING,
            f"is at revision 0006, this version at {LATEST}; `weekbot run`, or `weekbot",
        ),
    ],
)
async def test_a_database_of_another_version_is_reported_and_not_changed(
    installation: Installation, revision: str, level: Level, message: str
) -> None:
    with sqlite3.connect(installation.file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()
    before = installation.file.read_bytes()
    report = await installation.doctor("--channels")
    assert report.only("database")[0] is level
    assert message in report.only("database")[1]
    assert report.problems() == ["database", "channels"]
    assert installation.file.read_bytes() == before


async def test_a_file_that_is_not_a_database_is_reported(installation: Installation) -> None:
    installation.file.write_text("a letter\n" * 1000)
    report = await installation.doctor()
    level, sentence = report.only("database")
    assert level is Level.ERROR
    assert sentence.endswith("cannot be used: file is not a database. Check WEEKBOT_DATABASE_URL.")
    assert report.problems() == ["database"]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://weekbot:{PASSWORD}@127.0.0.1:1/weekbot",
        f"postgresql://weekbot@127.0.0.1:1/weekbot?password={PASSWORD}",
    ],
)
async def test_an_unreachable_postgresql_is_reported_without_its_password(installation: Installation, url: str) -> None:
    report = await installation.doctor("--channels", WEEKBOT_DATABASE_URL=url)
    level, sentence = report.only("database")
    assert level is Level.ERROR
    assert "@127.0.0.1:1/weekbot cannot be used: connection failed" in sentence
    assert report.problems() == ["database", "channels"]


async def test_an_invalid_database_url_is_reported(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DATABASE_URL=f"mysql://weekbot:{PASSWORD}@host/name")
    assert report.only("database")[1].startswith("weekbot keeps its data in SQLite or PostgreSQL; ")
    assert report.problems() == ["database"]


@pytest.mark.parametrize(
    ("free", "level", "advice"),
    [
        (49_000_000, Level.ERROR, "soon posts can no longer be recorded. Free up space there."),
        (499_000_000, Level.WARNING, "Free up space there soon."),
        (500_000_000, Level.OK, ""),
    ],
)
async def test_a_nearly_full_disk_is_reported(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, free: int, level: Level, advice: str
) -> None:
    usage = {installation.folder: SimpleNamespace(free=free)}
    monkeypatch.setattr("weekbot.ops.doctor.machine.disk_usage", usage.__getitem__)
    report = await installation.doctor()
    assert report.only("disk")[0] is level
    assert report.only("disk")[1].startswith(f"{free // 1_000_000} MB free in {installation.folder}")
    assert report.only("disk")[1].endswith(advice)


# The token


async def test_a_missing_token_is_reported(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DISCORD_TOKEN="")
    level, sentence = report.only("token")
    assert level is Level.ERROR
    assert sentence.startswith("WEEKBOT_DISCORD_TOKEN is not set. Get a token at https://discord.com/developers")
    assert report.problems() == ["token", "commands", "intents", "gateway"]
    assert report.only("gateway") == (Level.WARNING, "not checked, because weekbot could not log in")


async def test_a_wrong_token_is_reported_and_not_shown(installation: Installation) -> None:
    report = await installation.doctor("--channels", WEEKBOT_DISCORD_TOKEN=PASSWORD)
    level, sentence = report.only("token")
    assert level is Level.ERROR
    assert sentence.startswith("Discord does not accept WEEKBOT_DISCORD_TOKEN. Get a new one at")
    assert report.problems() == ["token", "commands", "intents", "gateway", "channels"]
    assert len(installation.server.requests) == 1


async def test_a_malformed_token_is_an_invalid_setting(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DISCORD_TOKEN=f"first\n{PASSWORD}")
    assert report.only("settings")[1].startswith("WEEKBOT_DISCORD_TOKEN: must be one word of letters")
    assert report.problems() == ["settings", "token", "commands", "intents", "gateway"]
    assert not installation.server.requests


async def test_an_unknown_setting_is_a_warning_with_the_nearest_name(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_CATCHUP_HOURS=PASSWORD)
    level, sentence = report.only("settings")
    assert level is Level.WARNING
    assert sentence.startswith("WEEKBOT_CATCHUP_HOURS in the environment isn't a weekbot setting")
    assert sentence.endswith("did you mean WEEKBOT_CATCH_UP_HOURS?")


async def test_a_setting_with_two_values_is_a_warning(installation: Installation) -> None:
    (installation.folder / ".env").write_text(f"WEEKBOT_DISCORD_TOKEN={PASSWORD}\n")
    level, sentence = (await installation.doctor()).only("settings")
    assert level is Level.WARNING
    assert sentence.startswith("WEEKBOT_DISCORD_TOKEN is set in the environment and in .env, with different values")


async def test_an_unreachable_discord_is_reported(installation: Installation) -> None:
    async with installation.server.outage(refuses=True):
        report = await installation.doctor()
    assert report.only("token") == (
        Level.ERROR,
        "It could not be checked at 127.0.0.1: Discord cannot be reached; "
        "check the network and WEEKBOT_DISCORD_API_URL.",
    )
    assert report.only("database")[0] is Level.OK


async def test_a_discord_with_problems_is_reported(installation: Installation) -> None:
    async with installation.server.outage():
        report = await installation.doctor()
    assert report.only("token")[0] is Level.ERROR
    assert "Discord is having problems (503)" in report.only("token")[1]


async def test_a_response_from_another_server_is_reported(installation: Installation) -> None:
    installation.server.fail_next("GET", "/users/@me$", 200, ["a page"])
    report = await installation.doctor()
    assert report.only("token")[0] is Level.ERROR
    assert report.only("token")[1].startswith("The server at 127.0.0.1 isn't Discord")


async def test_a_discord_that_does_not_respond_times_out(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "ANSWER_SECONDS", 0.2)
    installation.server.latency = 1
    report = await installation.doctor()
    assert report.only("token")[0] is Level.ERROR
    assert "did not answer within 0.2 s" in report.only("token")[1]


# Commands and intents


async def test_commands_that_were_never_registered_are_a_warning(installation: Installation) -> None:
    installation.server.world.commands.replace(0, [])
    report = await installation.doctor()
    assert report.only("commands") == (Level.WARNING, "Discord lists none yet; `weekbot run` will register them.")
    assert report.exit_code == 0


async def test_commands_of_another_version_are_reported(installation: Installation) -> None:
    await installation.register_commands()
    bodies = {each.body["name"]: each.body for each in installation.server.world.commands.of()}
    del bodies["compare"]
    bodies["help"] = bodies["help"] | {"description": "Another text"}
    german = {"description_localizations": {"de": "Ein anderer Text"}}
    bodies["progress"] = bodies["progress"] | german
    bodies["old"] = {"name": "old", "description": "No longer there", "type": 1}
    installation.server.world.commands.replace(0, bodies.values())
    level, sentence = (await installation.doctor()).only("commands")
    assert level is Level.WARNING
    assert sentence == (
        "Discord's list lacks /compare; has a different version of /progress, /help; has /old, "
        "which weekbot doesn't have; weekbot registers its own when it starts. Restart it."
    )


async def test_a_changed_option_is_a_difference(installation: Installation) -> None:
    await installation.register_commands(home_channel_id=1)  # /weekly has one command more
    level, sentence = (await installation.doctor()).only("commands")
    assert level is Level.WARNING
    assert "Discord's list has a different version of /weekly;" in sentence


async def test_commands_registered_by_another_program_are_an_error(installation: Installation) -> None:
    database = Database(installation.environment["WEEKBOT_DATABASE_URL"])
    await Metadata(database).put(REGISTERED, await installation.register_commands())
    await database.close()
    installation.server.world.commands.replace(0, [{"name": "ping", "description": "Pong", "type": 1}])
    level, sentence = (await installation.doctor()).only("commands")
    assert level is Level.ERROR
    assert "Something else has registered commands with this token since weekbot did. Stop it, " in sentence
    assert "then restart weekbot, which registers its own" in sentence


async def test_privileged_intents_are_not_needed(installation: Installation) -> None:
    world = installation.server.world
    world.application = replace(world.application, flags=1 << 15 | 1 << 18)  # limited: members; unlimited: content
    report = await installation.doctor()
    level, sentence = report.only("intents")
    assert level is Level.WARNING
    assert "Server Members, Message Content are switched on. Change that in the developer portal" in sentence
    assert report.exit_code == 0


# The gateway


async def test_too_few_shards_are_reported(installation: Installation) -> None:
    installation.server.world.shards = 2
    report = await installation.doctor(WEEKBOT_SHARD_COUNT="1")
    assert report.only("shards") == (
        Level.WARNING,
        "WEEKBOT_SHARD_COUNT is 1, and Discord recommends 2 for 1 servers; set WEEKBOT_SHARD_COUNT to 2, or remove it.",
    )
    assert (await installation.doctor(WEEKBOT_SHARD_COUNT="2")).problems() == []
    assert (await installation.doctor()).problems() == []


@pytest.mark.parametrize(("guilds", "level"), [(5000, Level.WARNING), (5001, Level.ERROR)])
def test_more_servers_than_shards_can_hold_are_an_error(guilds: int, level: Level) -> None:
    finding = account.check_shards(Settings(shard_count=2), 6, guilds)
    assert finding.level is level
    assert "set WEEKBOT_SHARD_COUNT to 6" in finding.sentence


@pytest.mark.parametrize(
    ("left", "ids", "level"),
    [(1, "0,1", Level.ERROR), (2, "0,1", Level.WARNING), (99, "0", Level.WARNING), (100, "0", Level.OK)],
)
async def test_too_few_remaining_starts_are_reported(
    installation: Installation, left: int, ids: str, level: Level
) -> None:
    starts = installation.server.world.starts
    starts.begun = starts.remaining - left
    report = await installation.doctor(WEEKBOT_SHARD_COUNT="3", WEEKBOT_SHARD_IDS=ids)
    assert report.only("sessions")[0] is level
    assert report.only("sessions")[1].startswith(
        f"{left} of 1000 session starts are left, {len(ids.split(','))} needed at a"
    )


async def test_no_start_is_used_up(installation: Installation) -> None:
    before = installation.server.world.starts.remaining
    await installation.doctor()
    assert installation.server.world.starts.remaining == before


async def test_an_unreachable_gateway_is_reported(installation: Installation) -> None:
    report = await installation.doctor(WEEKBOT_DISCORD_GATEWAY_URL="ws://127.0.0.1:1")
    level, sentence = report.only("gateway")
    assert level is Level.ERROR
    assert sentence.startswith("127.0.0.1 cannot be reached (")
    assert "check the network, and WEEKBOT_DISCORD_GATEWAY_URL" in sentence
    assert report.problems() == ["gateway"]


async def test_another_server_as_the_gateway_is_reported(installation: Installation) -> None:
    elsewhere = installation.server.report_url.replace("http", "ws")
    assert (await installation.doctor(WEEKBOT_DISCORD_GATEWAY_URL=elsewhere)).only("gateway")[0] is Level.ERROR


async def test_an_unknown_gateway_address_is_an_error(installation: Installation) -> None:
    installation.server.fail_next("GET", "/gateway/bot$", 503)
    report = await installation.doctor()
    assert report.only("gateway")[0] is Level.ERROR
    assert report.only("gateway")[1].startswith("Discord didn't return the gateway's address (")


# The rows


async def test_unreadable_rows_are_reported_with_advice(installation: Installation) -> None:
    channels = [installation.guild.add_text_channel(name) for name in ("one", "two", "three")]
    for channel in channels:
        await installation.subscribe(channel)
    with sqlite3.connect(installation.file) as connection:
        connection.execute("UPDATE guilds SET timezone = 'Mars/Base'")
        connection.execute("UPDATE subscriptions SET timezone = 'UTC', weekday = 9 WHERE id = 3")
        connection.execute(
            "INSERT INTO deliveries (id, subscription_id, slot, topic, round, scheduled, chosen, state, attempts)"
            " VALUES ('d', 1, '2026-11-23 09:00:00.000000', 'flask', 1, 1, 0, 'archived', 0)"
        )
    connection.close()
    report = await installation.doctor("--channels")
    assert [level for level, _ in report.of("rows")] == [Level.ERROR, Level.ERROR, Level.WARNING]
    zone, day, state = (sentence for _, sentence in report.of("rows"))
    assert zone.startswith(f"2 channels, such as {channels[0].id}, have the time zone 'Mars/Base', which can't be read")
    assert "Update the package tzdata, or the system's time zones, and restart weekbot, or have its" in zone
    assert day.startswith(f"The channel {channels[2].id} has the day 9, which can't be read here; nothing is posted")
    assert state.startswith("A row of the table deliveries with the state 'archived', which this version doesn't know")
    assert len(report.of("channel")) == 3


# The channels


async def test_each_channel_has_a_line_with_its_problems(installation: Installation) -> None:
    good, forbidden, gone = (installation.guild.add_text_channel(name) for name in ("good", "forbidden", "gone"))
    for channel in (good, forbidden, gone):
        await installation.subscribe(channel)
    forbidden.forbid()
    gone.delete()
    report = await installation.doctor("--channels")
    assert report.of("channel") == [
        (Level.OK, "#good in Pythonistas"),
        (
            Level.ERROR,
            "#forbidden in Pythonistas: weekbot is missing Send Messages. "
            "Its moderators can fix this; `/weekly status` shows them the same.",
        ),
        (
            Level.ERROR,
            f"{gone.id} in Pythonistas: the channel is gone, or weekbot can't see it; "
            "`/weekly unsubscribe` ends its weekly topic.",
        ),
    ]
    assert report.exit_code == 1


async def test_a_server_is_fetched_once_for_all_its_channels(installation: Installation) -> None:
    for number in range(5):
        await installation.subscribe(installation.guild.add_text_channel(f"weekly-{number}"))
    report = await installation.doctor("--channels")
    assert len(report.of("channel")) == 5
    assert len(installation.server.requests) == 4 + 3


async def test_options_require_the_same_permissions_as_for_a_post(installation: Installation) -> None:
    learners = installation.guild.add_role("learners")
    channel = installation.guild.add_text_channel("weekly")
    channel.forbid(Permission.PIN_MESSAGES | Permission.CREATE_PUBLIC_THREADS)
    await installation.subscribe(channel, pin=True, thread=True, ping_role_id=learners.id)
    level, sentence = (await installation.doctor("--channels")).only("channel")
    assert level is Level.ERROR
    assert (
        "weekbot is missing Create Public Threads and Pin Messages; weekbot isn't allowed to ping @learners."
        in sentence
    )


async def test_a_blocked_channel_without_a_problem_is_a_warning_with_the_permissions(
    installation: Installation,
) -> None:
    channel = installation.guild.add_text_channel("weekly")
    await installation.subscribe(channel)
    database = Database(installation.environment["WEEKBOT_DATABASE_URL"])
    await Subscriptions(database).change(channel.id, lambda current: replace(current, blocked=PERMISSION_MISSING))
    await database.close()
    assert (await installation.doctor("--channels")).only("channel") == (
        Level.WARNING,
        "#weekly in Pythonistas: its last post was refused (weekbot was missing one of View Channel, Read Message "
        "History and Send Messages). Everything seems to be fine now; weekbot tries again with the next post.",
    )


def open_thread(installation: Installation, parent: Channel, **state: Any) -> Thread:
    body = {"name": "corner", **state}
    thread = Thread.open(parent, installation.guild.owner.user, installation.server.world.snowflakes.next(), body)
    thread.publish()
    return thread


async def test_threads_have_the_permissions_of_their_channel(installation: Installation) -> None:
    free, closed = installation.guild.add_text_channel("free"), installation.guild.add_text_channel("closed")
    closed.forbid(Permission.SEND_MESSAGES_IN_THREADS)
    free.forbid(Permission.SEND_MESSAGES)  # not required in threads
    for parent in (free, closed):
        for archived in (False, True):
            await installation.subscribe(open_thread(installation, parent, archived=archived))
    await installation.subscribe(open_thread(installation, free, locked=True))
    report = await installation.doctor("--channels")
    lacking = "weekbot is missing Send Messages in Threads"
    assert [(level, re.split(r": |\. ", sentence)[:2]) for level, sentence in report.of("channel")] == [
        (Level.OK, ["#corner in Pythonistas"]),
        (Level.OK, ["#free in Pythonistas"]),
        (Level.ERROR, ["#corner in Pythonistas", lacking]),
        (Level.ERROR, ["#closed in Pythonistas", lacking]),
        (
            Level.ERROR,
            [
                "#corner in Pythonistas",
                "the thread is locked, and weekbot can't reopen it once it's archived",
            ],
        ),
    ]


async def test_a_deleted_or_closed_thread_is_reported(installation: Installation) -> None:
    parent = installation.guild.add_text_channel("weekly")
    gone, closed = open_thread(installation, parent), open_thread(installation, parent, archived=True, locked=True)
    for thread in (gone, closed, open_thread(installation, parent, archived=True)):
        await installation.subscribe(thread)
    gone.delete()
    report = await installation.doctor("--channels")
    assert [(level, re.split(r": |[.;] ", sentence)[1:2]) for level, sentence in report.of("channel")] == [
        (Level.ERROR, ["the thread is gone"]),
        (Level.ERROR, ["the thread is archived and locked, and weekbot can't reopen it"]),
        (Level.OK, []),
    ]


async def test_a_thread_without_a_response_is_a_warning(installation: Installation) -> None:
    parent = installation.guild.add_text_channel("weekly")
    thread = open_thread(installation, parent, archived=True)
    await installation.subscribe(thread)
    installation.server.fail_next("GET", f"/channels/{thread.id}$", 503)
    level, sentence = (await installation.doctor("--channels")).only("channel")
    assert level is Level.WARNING
    assert "Discord is having problems (503). Run this again." in sentence


async def test_the_other_servers_are_checked_if_the_bot_has_left_one(installation: Installation) -> None:
    known, unknown = installation.server.add_guild("Known to be left"), installation.server.add_guild("Left meanwhile")
    last = installation.server.add_guild("Last")
    for guild in (known, unknown, last):
        await installation.subscribe(guild.add_text_channel("weekly"))
    database = Database(installation.environment["WEEKBOT_DATABASE_URL"])
    await Guilds(database).mark_left([known.id], datetime.now(UTC))
    await database.close()
    for guild in (known, unknown):
        guild.joined = False
    report = await installation.doctor("--channels")
    assert [level for level, _ in report.of("channel")] == [Level.WARNING, Level.WARNING, Level.OK]
    for guild, (_, sentence) in zip((known, unknown), report.of("channel"), strict=False):
        assert sentence.startswith(f"1 in server {guild.id}: weekbot is no longer there. Invite it again, or")


async def test_a_server_wrongly_recorded_as_left_is_checked(installation: Installation) -> None:
    await installation.subscribe(installation.guild.add_text_channel("weekly"))
    database = Database(installation.environment["WEEKBOT_DATABASE_URL"])
    await Guilds(database).mark_left([installation.guild.id], datetime.now(UTC))
    await database.close()
    report = await installation.doctor("--channels")
    assert report.only("channel") == (Level.OK, "#weekly in Pythonistas")


async def test_a_server_that_cannot_be_fetched_is_reported_and_the_next_is_checked(installation: Installation) -> None:
    other = installation.server.add_guild("Other")
    await installation.subscribe(installation.guild.add_text_channel("weekly"))
    await installation.subscribe(other.add_text_channel("weekly"))
    installation.server.fail_next("GET", f"/guilds/{installation.guild.id}$", 503)
    report = await installation.doctor("--channels")
    assert [level for level, _ in report.of("channel")] == [Level.ERROR, Level.OK]
    assert "Discord is having problems (503)" in report.of("channel")[0][1]


# The output


async def test_an_unexpected_error_in_one_check_is_reported_and_the_others_continue(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Finding:
        raise LookupError(PASSWORD)

    logged: list[str] = []
    monkeypatch.setattr(account, "check_shards", broken)
    monkeypatch.setattr("weekbot.ops.doctor.finding.log.error", lambda text, *values: logged.append(text % values))
    report = await installation.doctor("--channels")
    assert report.of("gateway") == [
        (Level.OK, "127.0.0.1 answers"),
        (Level.ERROR, "The check failed with an unexpected error, which is logged. Please report it."),
    ]
    assert report.problems() == ["gateway"]
    assert "unexpected LookupError in the check of gateway" in logged[0]
    assert "in check_gateway" in logged[0]
    assert PASSWORD not in logged[0]


async def test_several_problems_are_all_reported(installation: Installation) -> None:
    installation.file.write_text("a letter\n" * 1000)
    report = await installation.doctor(
        "--channels", WEEKBOT_LOG_LEVEL="LOUD", WEEKBOT_CONTENT_DIR="gone", WEEKBOT_DISCORD_TOKEN=PASSWORD
    )
    errors = [each.part for each in report.findings if each.level is Level.ERROR]
    assert errors == ["settings", "content", "database", "token"]


async def test_a_name_is_escaped_and_works_on_an_ascii_terminal(installation: Installation) -> None:
    installation.guild.name = "Café\n\x1b[31m"
    await installation.subscribe(installation.guild.add_text_channel("weekly"))
    assert (await installation.doctor("--channels")).only("channel")[1] == r"#weekly in Café \x1b[31m"
    result = await asyncio.to_thread(
        CliRunner(charset="ascii").invoke, cli, ["doctor", "--channels"], env=installation.environment
    )
    assert r"? ok       channel   #weekly in Caf? \x1b[31m" in result.output.splitlines()


@pytest.mark.parametrize("level", list(Level))
def test_a_terminal_shows_colours_in_addition_to_a_sign_and_a_word(
    monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    finding = Finding(level, "part", "A sentence.")
    plain = weekbot.cli.doctor._line(finding)
    monkeypatch.setattr(weekbot.cli.terminal, "supports_colour", lambda: True)
    assert "\x1b" not in plain
    assert LINE.fullmatch(plain)
    coloured = weekbot.cli.doctor._line(finding)
    assert coloured != plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


# Another program with the token


async def test_another_program_with_the_token_is_reported(installation: Installation) -> None:
    database = Database(installation.environment["WEEKBOT_DATABASE_URL"])
    users = TokenUsers(Metadata(database), SystemClock())
    users.record(Sign.POST)
    await users.save()
    await database.close()
    report = await installation.doctor()
    assert report.problems() == ["token"]
    [sentence] = [each.sentence for each in report.findings if each.level is Level.WARNING]
    assert sentence.startswith(
        "Another program uses the bot's token; it posts weekly topics from a database of its own"
    )
