"""What a kind of database has to offer; SQLite and PostgreSQL are two."""

from pathlib import Path
from typing import ClassVar, Protocol

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MIGRATIONS = Path(__file__).with_name("migrations")


class Backend(Protocol):
    """`reading` and `writing` are execution options of the connection of such a transaction."""

    reading: ClassVar[dict[str, object]]
    writing: ClassVar[dict[str, object]]

    def engine(self, url: URL) -> AsyncEngine: ...

    def name(self, url: URL) -> str:
        """What a person calls the database, without its password."""

    def exists(self, url: URL) -> bool:
        """Whether there is something to open, in a thread; raises what opening it does."""

    def prepare(self, url: URL) -> None:
        """Open it for the first time, in a thread."""

    def checkpoint(self, url: URL) -> None:
        """Move commits to where a plain copy finds them. Runs in a thread."""

    async def check(self, engine: AsyncEngine) -> None:
        """Raise DatabaseUnusableError if weekbot can't work with the operator's setup. Changes nothing."""

    async def alone(self, connection: AsyncConnection) -> None:
        """Let no other process upgrade until this transaction ends."""
