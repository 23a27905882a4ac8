"""The PostgreSQL backend, over psycopg."""

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from weekbot.db.database_url import servers_of
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.sessions import NEEDED_CONNECTIONS, check_sessions_last

UPGRADE_LOCK = 0x7765656B0001  # an advisory lock; weekbot's keys begin with `week` in ASCII
WAKE_CHANNEL = "weekbot_hurry"
MIN_VERSION = 14  # the first version with `idle_session_timeout`, which ends the session of a frozen process
IDLE_IN_TRANSACTION_SECONDS = 5  # after this, the locks of a frozen process are free again
_VERSION = text("SELECT current_setting('server_version_num'), current_setting('server_version')")

_CONNECTION: dict[str, object] = {  # detects within seconds that a server is gone
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


class Postgresql:
    reading: ClassVar[dict[str, object]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    writing: ClassVar[dict[str, object]] = {"isolation_level": "READ COMMITTED"}

    def engine(self, url: URL) -> AsyncEngine:
        """Raises DatabaseUnusableError if the driver isn't installed."""
        # The first server that can be written is used; those that don't answer are given up early.
        several = {"target_session_attrs": "read-write", "connect_timeout": 2} if len(servers_of(url)) > 1 else {}
        options = _CONNECTION | several
        try:
            made = create_async_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args={name: value for name, value in options.items() if name not in url.query},
                pool_size=NEEDED_CONNECTIONS,  # transactions are short, and a broadcast is recorded in groups
                max_overflow=0,
                hide_parameters=True,  # keeps what members typed out of logged errors
                pool_pre_ping=True,  # replaces connections that a restart of the server cut
            )
        except ModuleNotFoundError:
            message = "PostgreSQL needs a driver that is not installed; run: pip install 'weekbot[postgres]'"
            raise DatabaseUnusableError(message) from None

        made.dialect.use_insertmanyvalues_wo_returning = True  # one statement inserts many rows
        event.listen(made.sync_engine, "do_executemany", _one_by_one)

        @event.listens_for(made.sync_engine, "connect")
        def configure(connection: Any, _: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'")
            cursor.close()
            connection.commit()

        return made

    def name(self, url: URL) -> str:
        shown = url.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
        return shown.render_as_string(hide_password=True)

    def prepare(self, _: URL) -> None: ...
    def checkpoint(self, _: URL) -> None: ...

    def exists(self, _: URL) -> bool:
        return True  # the operator creates it

    async def check(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            number, version = (await connection.execute(_VERSION)).one()
        if int(number) < MIN_VERSION * 10_000:
            raise DatabaseUnusableError(
                f"PostgreSQL {version} is too old for weekbot; upgrade the server to PostgreSQL {MIN_VERSION} or newer."
            )
        await check_sessions_last(engine)

    async def lock_upgrades(self, connection: AsyncConnection) -> None:
        """Keep other processes from upgrading until this transaction ends."""
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})


async def wake_leader(connection: AsyncConnection) -> None:
    """Notify the leader, once this transaction is committed, that there is something to send."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"NOTIFY {WAKE_CHANNEL}"))


def _one_by_one(cursor: Any, statement: str, rows: Iterable[Any], _: object) -> bool:
    """Execute a statement for many rows without psycopg's pipeline.

    To PostgreSQL, a process that is frozen in the midst of a pipeline seems to be at work: no timeout ends it, and it
    keeps its locks.
    """
    for row in rows:
        cursor.execute(statement, row)
    return True
