"""The protocol of database backends; SQLite and PostgreSQL implement it."""

from pathlib import Path
from typing import ClassVar, Protocol

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MIGRATIONS = Path(__file__).with_name("migrations")


class Backend(Protocol):
    """`reading` and `writing` are execution options for the connections of such transactions.

    `exists`, `prepare` and `checkpoint` block, so they run in a thread.
    """

    reading: ClassVar[dict[str, object]]
    writing: ClassVar[dict[str, object]]

    def engine(self, url: URL) -> AsyncEngine: ...

    def name(self, url: URL) -> str:
        """Return the database's name for people, without its password."""

    def exists(self, url: URL) -> bool:
        """Return whether there is a database to open. Raises the errors of opening it."""

    def prepare(self, url: URL) -> None:
        """Open the database for the first time."""

    def checkpoint(self, url: URL) -> None:
        """Move commits into the database file."""

    async def check(self, engine: AsyncEngine) -> None:
        """Raise DatabaseUnusableError if weekbot can't work with the operator's setup. Changes nothing."""

    async def lock_upgrades(self, connection: AsyncConnection) -> None:
        """Keep other processes from upgrading until this transaction ends."""
