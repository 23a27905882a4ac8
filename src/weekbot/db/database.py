"""The database: its connections, transactions and migrations."""

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import ClassVar, Protocol, Self

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from weekbot.db.database_url import parse, servers_of
from weekbot.db.errors import DatabaseUnavailableError, DatabaseUnusableError, first_line, remedy_for, translate_errors
from weekbot.db.postgresql import Postgresql
from weekbot.db.revision import upgrade
from weekbot.db.sqlite import Sqlite

WriteCheck = Callable[[AsyncConnection], Awaitable[None]]


class Backend(Protocol):
    """The part of `Database` that SQLite and PostgreSQL need different code for; methods of the same names correspond.

    `reading` and `writing` are execution options for the connections of such transactions. `exists`, `prepare` and
    `checkpoint` block, so they run in a thread.
    """

    reading: ClassVar[dict[str, object]]
    writing: ClassVar[dict[str, object]]

    def engine(self, url: URL) -> AsyncEngine: ...
    def name(self, url: URL) -> str: ...
    def exists(self, url: URL) -> bool: ...
    def checkpoint(self, url: URL) -> None: ...
    async def check(self, engine: AsyncEngine) -> None: ...

    def prepare(self, url: URL) -> None:
        """Open the database for the first time."""

    async def lock_upgrades(self, connection: AsyncConnection) -> None:
        """Keep other processes from upgrading until this transaction ends."""


_BACKENDS: dict[str, Backend] = {"sqlite": Sqlite(), "postgresql": Postgresql()}


class Database(AbstractAsyncContextManager["Database", None]):
    """Opens transactions. Close it when done, or use it in `async with`.

    `url` is `sqlite:///path` or `postgresql://user:password@host/name`, which may name several hosts or a socket
    folder. Raises DatabaseUnusableError for anything else.
    """

    def __init__(self, url: str) -> None:
        parsed = parse(url)
        self._backend = _BACKENDS[parsed.get_backend_name()]
        self.engine = self._backend.engine(parsed)
        self.before_write: WriteCheck | None = None

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

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction with a consistent view."""
        with translate_errors():
            async with self._transaction(self._backend.reading) as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes.

        In SQLite it holds the only write lock from its start. In PostgreSQL, rows that are read in order to be changed
        must be read with a lock.
        """
        with translate_errors():
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
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(**options)
            async with connection.begin():
                yield connection

    async def upgrade(self) -> None:
        """Upgrade the schema; if several processes start together, one does and the others wait.

        Raises DatabaseUnusableError if the database can't be opened, or is from a newer version.
        """
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
        """Return whether there is a database to open. Creates none; a server's shows when it is opened.

        Raises DatabaseUnusableError if the file is something else.
        """
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

    async def close(self) -> None:
        await self.engine.dispose()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
