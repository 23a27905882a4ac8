"""The database: its connections, transactions and migrations. SQLite in a file, or PostgreSQL."""

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.address import parse, servers_of
from weekbot.db.backend import Backend
from weekbot.db.errors import DatabaseUnavailableError, DatabaseUnusableError, translate_errors
from weekbot.db.postgresql import Postgresql
from weekbot.db.remedies import remedy
from weekbot.db.revision import LATEST, revision_of
from weekbot.db.sqlite import Sqlite

Check = Callable[[AsyncConnection], Awaitable[None]]
_KINDS: dict[str, Backend] = {"sqlite": Sqlite(), "postgresql": Postgresql()}


class Database:
    """Opens transactions. Close it when done, or use it in `async with`.

    `url` is `sqlite:///path` or `postgresql://user:password@host/name`, which may name several hosts or the folder of a
    socket; raises DatabaseUnusableError for anything else.
    """

    def __init__(self, url: str) -> None:
        parsed = parse(url)
        self._kind = _KINDS[parsed.get_backend_name()]
        self.engine = self._kind.engine(parsed)
        self.before_write: Check = _nothing

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self._kind, Sqlite)

    @property
    def servers(self) -> int:
        """Number of servers in the address, which are tried in turn until one can be written."""
        return max(len(servers_of(self.engine.url)), 1)

    @property
    def name(self) -> str:
        """What a person calls it, without its password."""
        return self._kind.name(self.engine.url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view; several at a time."""
        with translate_errors():
            async with self._begun(self._kind.reading) as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction in which what was read to be changed cannot change before it is written.

        SQLite's holds the only write lock from its start; in PostgreSQL's the rows that are read with a lock are held.
        """
        with translate_errors():
            async with self._begun(self._kind.writing) as connection:
                await self.before_write(connection)
                yield connection

    def fenced(self, check: Check) -> Self:
        """The same database, where each transaction that writes begins with a check, which may raise."""
        fenced = copy.copy(self)
        fenced.before_write = check
        return fenced

    @asynccontextmanager
    async def _begun(self, options: dict[str, object]) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(**options)
            async with connection.begin():
                yield connection

    async def upgrade(self) -> None:
        """Bring the schema up to date; of several processes that start together one does, and the others wait.

        Raises DatabaseUnusableError where it cannot be opened, is no database, or is from a newer version.
        """
        with self.used():
            await self._kind.check(self.engine)
            await asyncio.to_thread(self._kind.prepare, self.engine.url)
            async with self._begun(self._kind.writing) as connection:
                await self._kind.alone(connection)
                await connection.run_sync(_upgrade)
        await self.checkpoint()

    async def checkpoint(self) -> None:
        """Move commits into the database file itself as far as possible, so that a plain copy contains them."""
        await asyncio.to_thread(self._kind.checkpoint, self.engine.url)

    async def exists(self) -> bool:
        """Whether there is a database to open; none is made. Raises DatabaseUnusableError where it is something else.

        Of one on a server, that shows when it is opened.
        """
        with self.used():
            return await asyncio.to_thread(self._kind.exists, self.engine.url)

    async def check(self) -> None:
        """Raise DatabaseUnusableError if weekbot can't work with the operator's setup. Changes nothing."""
        with self.used():
            await self._kind.check(self.engine)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Raises DatabaseUnusableError for what goes wrong with the database within."""
        try:
            yield
        except (OSError, sqlite3.Error, SQLAlchemyError, DatabaseUnavailableError) as error:
            cause = (error.__cause__ if isinstance(error, DatabaseUnavailableError) else None) or error
            reason = str(cause.orig if isinstance(cause, DatabaseError) else cause).strip().splitlines()[0]
            cure = remedy(cause) or "Check WEEKBOT_DATABASE_URL."
            raise DatabaseUnusableError(f"The database {self.name} cannot be used: {reason}. {cure}") from error

    async def close(self) -> None:
        await self.engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _nothing(_: AsyncConnection) -> None:
    """There is nothing to check."""


def _upgrade(connection: Connection) -> None:
    if revision_of(connection) != LATEST:
        from weekbot.db.upgrade import upgrade

        upgrade(connection)
