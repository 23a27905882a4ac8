"""Inspects a database beside a bot that may be running: changes nothing, and holds no locks."""

from dataclasses import dataclass

from sqlalchemy import insert, text

from weekbot.db.access import write_obstacle
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import LATEST, is_newer, revision_of
from weekbot.db.tables import metadata_entries
from weekbot.runtime.errors import WeekbotError

_INSERT = insert(metadata_entries).values(name="doctor", value="taken back")
_CREATE = text("CREATE TABLE weekbot_doctor (taken_back INTEGER)")


class NoDatabaseError(WeekbotError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no database {name}; check WEEKBOT_DATABASE_URL.")


@dataclass(frozen=True)
class SchemaState:
    """`revision` is the last migration's, None if the database is empty."""

    revision: str | None

    @property
    def up_to_date(self) -> bool:
        return self.revision == LATEST

    @property
    def from_newer_version(self) -> bool:
        return is_newer(self.revision)


async def inspect_schema(database: Database) -> SchemaState | None:
    """Return None if there is no database yet. Raises DatabaseUnusableError."""
    if not await database.exists():
        return None
    with database.explain_errors():
        async with database.read() as connection:
            return SchemaState(await connection.run_sync(revision_of))


async def check_up_to_date(database: Database) -> None:
    """Check the schema before reading. Raises WeekbotError if the database is missing, unusable, older or newer."""
    state = await inspect_schema(database)
    if state is None:
        raise NoDatabaseError(database.name)
    if state.from_newer_version:
        found = f"{database.name} is from a newer weekbot (revision {state.revision})"
        raise WeekbotError(f"{found}; use that version here, too.")
    if not state.up_to_date:
        raise WeekbotError(
            f"{database.name} is not up to date; `weekbot run`, or `weekbot db upgrade` beforehand, will upgrade it."
        )


class ObstacleError(DatabaseUnusableError):
    """The database is there, but this user may not write to it; the sentence includes the remedy."""


async def try_to_write(database: Database, state: SchemaState) -> None:
    """Write to the bot's tables, or create one, and roll that back. Raises DatabaseUnusableError or ObstacleError."""
    await database.close()  # PostgreSQL lets a connection that has read write also where a first one may not
    with database.explain_errors():
        async with database.write() as connection:
            if not database.is_sqlite and (found := await write_obstacle(connection)):
                raise ObstacleError(found)
            await connection.execute(_INSERT if state.up_to_date else _CREATE)
            await connection.rollback()
