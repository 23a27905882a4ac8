"""What condition a database is in, looked at beside a bot that may be running: nothing is changed or held."""

from dataclasses import dataclass

from sqlalchemy import insert, text

from weekbot.db.access import obstacle
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import LATEST, is_newer, revision_of
from weekbot.db.tables import facts
from weekbot.runtime.errors import WeekbotError

_ROW = insert(facts).values(name="doctor", value="taken back")
_TABLE = text("CREATE TABLE weekbot_doctor (taken_back INTEGER)")


class NoDatabaseError(WeekbotError):
    """There is no file of that name, which to open it would make."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no database {name}; check WEEKBOT_DATABASE_URL.")


@dataclass(frozen=True)
class SchemaState:
    """`revision` is that of the migration that was applied last, None where none was."""

    revision: str | None

    @property
    def up_to_date(self) -> bool:
        return self.revision == LATEST

    @property
    def from_newer_version(self) -> bool:
        return is_newer(self.revision)


async def look(database: Database) -> SchemaState | None:
    """None where there is no database yet. Raises DatabaseUnusableError."""
    if not await database.exists():
        return None
    with database.used():
        async with database.read() as connection:
            return SchemaState(await connection.run_sync(revision_of))


async def check_up_to_date(database: Database) -> None:
    """For who only reads. Raises DatabaseUnusableError, and WeekbotError where there is nothing that could be read."""
    condition = await look(database)
    if condition is None:
        raise NoDatabaseError(database.name)
    if condition.from_newer_version:
        found = f"{database.name} is from a newer weekbot (revision {condition.revision})"
        raise WeekbotError(f"{found}; use that version here, too.")
    if not condition.up_to_date:
        raise WeekbotError(
            f"{database.name} is not up to date; `weekbot run`, or `weekbot db upgrade` beforehand, will upgrade it."
        )


class ObstacleError(DatabaseUnusableError):
    """The database is there, and this user may not write all that a bot has to write."""


async def try_to_write(database: Database, condition: SchemaState) -> None:
    """Write to the bot's tables, or create some, and roll that back.

    Raises DatabaseUnusableError, or ObstacleError if the sentence includes the cure.
    """
    await database.close()  # PostgreSQL lets a connection that has read write also where a first one may not
    with database.used():
        async with database.write() as connection:
            if not database.is_sqlite and (found := await obstacle(connection)):
                raise ObstacleError(found)
            await connection.execute(_ROW if condition.up_to_date else _TABLE)
            await connection.rollback()
