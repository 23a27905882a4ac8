"""A real PgBouncer in front of the tests' PostgreSQL."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy.engine import make_url

from postgres import socket_folder

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
USER = "pgserver"
"""The tests' PostgreSQL runs as this user if the tests run as root, because root can't run it."""

_SETTINGS = """
[databases]
* = host={host} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pidfile =
{more}
"""


@contextmanager
def pooled(url: str, pool_mode: str, **more: str) -> Iterator[str]:
    """Yield the address of the same database behind PgBouncer, in that mode and with `more` settings."""
    if PROGRAM is None:
        pytest.skip("no PgBouncer: install pgbouncer to try poolers")
    server, port = make_url(url), free_port()
    settings = "\n".join(f"{name} = {value}" for name, value in {"pool_mode": pool_mode, **more}.items())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            _SETTINGS.format(host=socket_folder(url), user=server.username, port=port, more=settings), "utf-8"
        )
        Path(folder).chmod(0o755)
        command = [PROGRAM, "--quiet", str(file)]
        user = USER if os.geteuid() == 0 else None
        group = pwd.getpwnam(user).pw_gid if user else None
        with subprocess.Popen(command, user=user, group=group, stderr=subprocess.DEVNULL) as pooler:  # noqa: S603
            try:
                pooled_url = f"postgresql://{server.username}@127.0.0.1:{port}/{server.database}"
                _wait_for(pooled_url)
                yield pooled_url
            finally:
                pooler.kill()


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    for pause in (*[0.02] * 100, None):
        try:
            psycopg.connect(url, autocommit=True).close()
        except psycopg.OperationalError:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return
