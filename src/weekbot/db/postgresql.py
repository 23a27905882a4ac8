"""PostgreSQL, over psycopg."""

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from weekbot.db.address import servers_of
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.pooler import NEEDED_CONNECTIONS, check_sessions_last

UPGRADING = 0x7765656B0001
"""The advisory lock of an upgrade. Those of weekbot's begin with `week` in ASCII."""
OLDEST = 14
"""The first version with `idle_session_timeout`, which ends the session of a frozen process."""
_VERSION = text("SELECT current_setting('server_version_num'), current_setting('server_version')")
LONGEST_PAUSE_SECONDS = 5
"""Of a process in the midst of a transaction: what a frozen one has locked is free again after that."""

_CONNECTION: dict[str, object] = {  # detects within seconds that a server is gone
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


class Postgresql:
    """On a server, over psycopg."""

    reading: ClassVar[dict[str, object]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    writing: ClassVar[dict[str, object]] = {"isolation_level": "READ COMMITTED"}

    def engine(self, url: URL) -> AsyncEngine:
        """Raises DatabaseUnusableError where the driver is not installed."""
        try:
            made = create_async_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args={name: value for name, value in _options(url).items() if name not in url.query},
                pool_size=NEEDED_CONNECTIONS,  # transactions are short, and a broadcast is recorded in groups
                max_overflow=0,
                hide_parameters=True,  # keeps what members typed out of logged errors
                pool_pre_ping=True,  # a connection that a restart of the server cut is replaced, not used
            )
        except ModuleNotFoundError:
            message = "PostgreSQL needs a driver that is not installed; run: pip install 'weekbot[postgres]'"
            raise DatabaseUnusableError(message) from None

        made.dialect.use_insertmanyvalues_wo_returning = True  # one statement inserts many rows
        event.listen(made.sync_engine, "do_executemany", _one_by_one)

        @event.listens_for(made.sync_engine, "connect")
        def configure(connection: Any, _: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{LONGEST_PAUSE_SECONDS}s'")
            cursor.close()
            connection.commit()

        return made

    def name(self, url: URL) -> str:
        shown = url.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
        return shown.render_as_string(hide_password=True)

    def exists(self, _: URL) -> bool:
        """The operator made it."""
        return True

    def prepare(self, _: URL) -> None:
        """Nothing: the operator made it."""

    def checkpoint(self, _: URL) -> None:
        """Do nothing: PostgreSQL checkpoints by itself, and its files aren't copied."""

    async def check(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            number, version = (await connection.execute(_VERSION)).one()
        if int(number) < OLDEST * 10_000:
            raise DatabaseUnusableError(
                f"PostgreSQL {version} is too old for weekbot; upgrade the server to PostgreSQL {OLDEST} or newer."
            )
        await check_sessions_last(engine)

    async def alone(self, connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADING})


def _options(url: URL) -> dict[str, object]:
    """With several servers, use the first one that can be written, and give up early on those that don't answer."""
    several = {"target_session_attrs": "read-write", "connect_timeout": 2} if len(servers_of(url)) > 1 else {}
    return _CONNECTION | several


def _one_by_one(cursor: Any, statement: str, rows: Iterable[Any], _: object) -> bool:
    """Execute a statement for many rows, but not by psycopg's pipeline.

    PostgreSQL believes that a process which is frozen in the midst of a pipeline is at work: no time limit ends it,
    and it keeps what it has locked.
    """
    for row in rows:
        cursor.execute(statement, row)
    return True
