"""What a kind of database has to offer; SQLite and PostgreSQL are two."""

from pathlib import Path
from typing import ClassVar, Protocol

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from weekbot.errors import WeekbotError

MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseUnusableError(WeekbotError):
    """The database cannot be opened, or comes from a newer version."""


class Kind(Protocol):
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
        """Bring what was committed to where a plain copy finds it, in a thread."""

    async def check(self, engine: AsyncEngine) -> None:
        """Raises DatabaseUnusableError if what the operator set up can't serve weekbot; changes nothing."""

    async def alone(self, connection: AsyncConnection) -> None:
        """Let no other process upgrade until this transaction ends."""
