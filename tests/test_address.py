"""The database URL: each form works, or is rejected with an error that shows no part of it."""

import asyncio
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from pgbouncer import free_port
from postgres import socket_folder
from standby import standby
from weekbot.cli.main import cli
from weekbot.db.database import Database
from weekbot.db.database_url import parse
from weekbot.db.errors import DatabaseUnusableError
from weekbot.settings import Settings
from weekbot.store.metadata import Metadata

on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
SECRETS = ("open", "sesame", "cave")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@host/name", ("u", "p", "host", None, "name", {})),
        ("postgres://u:p@host:5433/name", ("u", "p", "host", 5433, "name", {})),
        ("postgresql+psycopg://host", (None, None, "host", None, None, {})),
        ("postgresql://u:a%40b%2Fc@host/my%20name", ("u", "a@b/c", "host", None, "my name", {})),
        ("postgresql://u:a:b/c#d%@host/name", ("u", "a:b/c#d%", "host", None, "name", {})),
        ("postgresql://u%40server@host/name", ("u@server", None, "host", None, "name", {})),
        ("postgresql://[::1]:5433/name", (None, None, "::1", 5433, "name", {})),
        ("postgresql://u@/name", ("u", None, None, None, "name", {})),
        ("postgresql:///name?host=/run/pg", (None, None, None, None, "name", {"host": "/run/pg"})),
        (
            "postgresql://u@%2Frun%2Fpg:5433/name",
            ("u", None, None, None, "name", {"host": "/run/pg", "port": "5433"}),
        ),
        ("postgresql://u@%2Frun%2Fpg/name", ("u", None, None, None, "name", {"host": "/run/pg"})),
        ("postgresql:///name?host=one&port=5433", (None, None, "one", 5433, "name", {})),
        ("postgresql://u@one,two/name", ("u", None, None, None, "name", {"host": "one,two"})),
        (
            "postgresql://u@one:5433,[::1],two/name",
            ("u", None, None, None, "name", {"host": "one,::1,two", "port": "5433,,"}),
        ),
        (
            "postgresql:///name?host=one:5433&host=two&sslmode=require",
            (None, None, None, None, "name", {"host": "one,two", "port": "5433,", "sslmode": "require"}),
        ),
        (
            "postgresql://one,two/name?port=5433&target_session_attrs=any",
            (None, None, None, None, "name", {"host": "one,two", "port": "5433,5433", "target_session_attrs": "any"}),
        ),
    ],
)
def test_each_form_is_parsed(url: str, expected: tuple[Any, ...]) -> None:
    found = parse(url)
    parts = (found.username, found.password, found.host, found.port, found.database, dict(found.query))
    assert parts == expected
    Database(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:open@sesame@cave/name",
        "postgresql://u:open@sesame:cave@host/name",
        "postgresql://u:open@sesame/cave@host/name",
        "postgresql://u:open@sesame?cave@host/name",
        "postgresql://u:open@sesame?cave=1@host/name",
        "postgresql://u:open@sesame#cave@host:5432/name",
        "postgresql://u:open?sesame@cave/name",
        "postgresql://u:open/name",
        "postgresql://u@host:open/name",
        "postgresql://u@host:0/name",
        "postgresql://u@[::1/name",
        "postgresql://one,two,three/name?port=1,2",
        "postgresql://host/name?port=sesame",
        "postgresql://host/name?sesame",
        "postgres://u:open@sesame@cave",
    ],
)
async def test_an_invalid_url_is_rejected_without_showing_any_part_of_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseUnusableError, match=r"percent-encoded \(%40 for @") as refused:
        Database(url)
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    doctor = await asyncio.to_thread(CliRunner().invoke, cli, ["doctor"], env={"WEEKBOT_DISCORD_API_URL": "ftp://no"})
    shown = f"{refused.value} {doctor.output}"
    assert not [secret for secret in SECRETS if secret in shown]
    assert "✗ error    database  WEEKBOT_DATABASE_URL can't be read: " in doctor.output


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite+aiosqlite:///:memory:", "in memory"),
        (":memory:", "isn't a database URL; set WEEKBOT_DATABASE_URL to sqlite:///weekbot.db"),
        ("sqlite://weekbot.db", "three slashes"),
        ("sqlite:///weekbot.db?mode=ro", "three slashes"),
        ("sqlite://host:port/weekbot.db", "isn't a database URL"),
        ("mysql://u:open@cave/name", "SQLite or PostgreSQL"),
    ],
)
def test_a_url_without_an_sqlite_file_is_rejected_with_advice(url: str, message: str) -> None:
    with pytest.raises(DatabaseUnusableError, match=re.escape(message)) as refused:
        Database(url)
    assert "sqlite:///weekbot.db" in str(refused.value)
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


def test_a_password_in_an_option_is_a_secret() -> None:
    url = "postgresql://host/name?user=u&password=open%20sesame&sslpassword=cave"
    assert Settings(database_url=url, discord_token=None).secrets() == [
        "open%20sesame",
        "cave",
        "open sesame",
        "cave",
    ]
    assert not [secret for secret in SECRETS if secret in Database(url).name]


@on_postgresql
@pytest.mark.parametrize("password", ["open%20sesame%40cave", "open/sesame:cave#%"])
async def test_a_right_password_works_and_a_wrong_one_is_not_shown(url: str, password: str) -> None:
    with standby() as made, user_with_password(url, unquote(password)) as name:
        made.demand_passwords(url)
        address = make_url(made.url(url))
        target = f"/{address.database}?host={made.folder}"
        async with Database(f"postgresql://{name}:{password}@{target}") as database, database.read() as connection:
            assert (await connection.exec_driver_sql("SELECT 1")).scalar_one() == 1
        async with Database(f"postgresql://{name}:{password}x@{target}") as database:
            with pytest.raises(DatabaseUnusableError, match="percent-encode special characters") as refused:
                await database.upgrade()
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


@contextmanager
def user_with_password(url: str, password: str) -> Iterator[str]:
    name = f"user_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as owner:
        role = sql.Identifier(name)
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
        try:
            yield name
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_bot_that_cannot_connect_shows_no_part_of_the_password_even_at_debug() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "WEEKBOT_LOG_LEVEL": "DEBUG",
        "WEEKBOT_DISCORD_TOKEN": "a.b.c",
        "WEEKBOT_DATABASE_URL": "postgresql://u:open%20sesame%40cave@127.0.0.1:1/name?sslpassword=open%40sesame",
    }
    command = [sys.executable, "-m", "weekbot", "run"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "The database postgresql://u:***@127.0.0.1:1/name cannot be used: "
    )
    assert not [secret for secret in SECRETS if secret in result.stdout + result.stderr]


@on_postgresql
async def test_sockets_and_several_hosts_with_unreachable_ones_work(url: str) -> None:
    address = make_url(url)
    folder = socket_folder(url).replace("/", "%2F")
    for hosts in (folder, f"127.0.0.1:{free_port()},{folder}", f"{folder},nowhere.invalid"):
        async with Database(f"postgres://{address.username}@{hosts}/{address.database}") as database:
            await database.upgrade()
            await Metadata(database).put("commands", hosts)


@on_postgresql
@pytest.mark.parametrize(
    "form",
    ["postgresql://{user}@{standby},{primary}/{name}", "postgresql://{user}@/{name}?host={standby}&host={primary}"],
)
async def test_the_writable_one_of_several_hosts_is_used(url: str, form: str) -> None:
    with standby() as made:
        made.url(url)
        address = make_url(url)
        folders = {
            "standby": str(made.folder).replace("/", "%2F"),
            "primary": socket_folder(url).replace("/", "%2F"),
        }
        several = form.format(user=address.username, name=address.database, **folders)
        async with Database(several) as database:
            await Metadata(database).put("commands", "written")
        more = "&" if "?" in several else "?"
        async with (
            Database(f"{several}{more}target_session_attrs=read-only") as database,
            database.read() as connection,
        ):
            assert (await connection.exec_driver_sql("SELECT pg_is_in_recovery()")).scalar_one()
