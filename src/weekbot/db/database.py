"""The database: its connections, transactions and migrations."""

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, Self, TypeVar, cast

from sqlalchemy import QueuePool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database_url import parse, servers_of
from weekbot.db.errors import DatabaseUnavailableError, DatabaseUnusableError, first_line, remedy_for, translate_errors
from weekbot.db.postgresql import Postgresql
from weekbot.db.revision import upgrade
from weekbot.db.sqlite import Sqlite

T = TypeVar("T")
CLOSE_SECONDS = 5
WriteCheck = Callable[[AsyncConnection], Awaitable[None]]
Backend = Sqlite | Postgresql
"""Two classes with the same methods; `exists`, `prepare` and `checkpoint` block, so they run in a thread.

`reading` and `writing` are execution options for the connections of such transactions.
"""


class Database(AbstractAsyncContextManager["Database", None]):
    """Opens transactions. Close it when done, or use it in `async with`.

    `url` is `sqlite:///path` or `postgresql://user:password@host/name`, which may name several hosts or a socket
    folder. Raises DatabaseUnusableError for anything else.
    """

    def __init__(self, url: str) -> None:
        parsed = parse(url)
        self._backend: Backend = Sqlite() if parsed.get_backend_name() == "sqlite" else Postgresql()
        self.engine = self._backend.engine(parsed)
        self.before_write: WriteCheck | None = None
        self._started: set[asyncio.Task[Any]] = set()

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self._backend, Sqlite)

    @property
    def servers(self) -> int:
        """The number of servers in the URL, which are tried in turn until one can be written."""
        return max(len(servers_of(self.engine.url)), 1)

    @property
    def name(self) -> str:
        """The database's name for people, without its password."""
        return self._backend.name(self.engine.url)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction with a consistent view."""
        return self._transaction(self._backend.reading)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes.

        In SQLite it holds the only write lock from its start. In PostgreSQL, rows that are read in order to be changed
        must be read with a lock.
        """
        async with self._transaction(self._backend.writing) as connection:
            if self.before_write:
                await self.before_write(connection)
            yield connection

    def fenced(self, check: WriteCheck) -> Self:
        """Return the same database with a check that begins each transaction that writes, and may raise."""
        fenced = copy.copy(self)
        fenced.before_write = check
        return fenced

    @asynccontextmanager
    async def _transaction(self, options: dict[str, object]) -> AsyncIterator[AsyncConnection]:
        with translate_errors():
            async with self.engine.connect() as plain:
                connection = await plain.execution_options(**options)
                async with connection.begin():
                    yield connection

    async def upgrade(self) -> None:
        """Upgrade the schema; other processes that do so wait meanwhile. Raises DatabaseUnusableError."""
        with self.explain_errors():
            await self._backend.check(self.engine)
            await asyncio.to_thread(self._backend.prepare, self.engine.url)
            async with self._transaction(self._backend.writing) as connection:
                await self._backend.lock_upgrades(connection)
                await connection.run_sync(upgrade)
        await self.checkpoint()

    async def checkpoint(self) -> None:
        """Move commits into the database file as far as possible, so that a plain copy contains them."""
        await asyncio.to_thread(self._backend.checkpoint, self.engine.url)

    async def exists(self) -> bool:
        """Return whether the file exists; a server is taken to exist. Raises DatabaseUnusableError."""
        with self.explain_errors():
            return await asyncio.to_thread(self._backend.exists, self.engine.url)

    async def check(self) -> None:
        """Raise DatabaseUnusableError if weekbot can't work with the operator's setup. Changes nothing."""
        with self.explain_errors():
            await self._backend.check(self.engine)

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Translate the block's database errors into DatabaseUnusableError, with their remedy."""
        try:
            yield
        except (OSError, sqlite3.Error, SQLAlchemyError, DatabaseUnavailableError) as error:
            cause = (error.__cause__ if isinstance(error, DatabaseUnavailableError) else None) or error
            what = f"The database {self.name} cannot be used: {first_line(cause)}."
            raise DatabaseUnusableError(f"{what} {remedy_for(cause) or 'Check WEEKBOT_DATABASE_URL.'}") from error

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work in the background, which `drain` and `close` wait for."""
        task = asyncio.create_task(work)
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task

    async def drain(self) -> None:
        """Wait until the work started so far has ended."""
        if self._started:
            await asyncio.wait(set(self._started))

    async def close(self) -> None:
        """Close all connections. Open transactions get a few seconds to end, because they would keep theirs."""
        pool = cast("QueuePool", self.engine.pool)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.drain()
                while pool.checkedout():  # noqa: ASYNC110 - the pool has no event
                    await asyncio.sleep(0.01)
        await self.engine.dispose()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
