"""What condition a database is in, looked at beside a bot that may be running: nothing is changed or held."""

from dataclasses import dataclass

from sqlalchemy import insert, text

from weekbot.store.database import Database
from weekbot.store.revision import LATEST, REVISIONS, revision_of
from weekbot.store.tables import facts

_ROW = insert(facts).values(name="doctor", value="taken back")
_TABLE = text("CREATE TABLE weekbot_doctor (taken_back INTEGER)")


@dataclass(frozen=True)
class Condition:
    """`revision` is that of the migration that was applied last, None where none was."""

    revision: str | None

    @property
    def up_to_date(self) -> bool:
        return self.revision == LATEST

    @property
    def from_newer_version(self) -> bool:
        return self.revision is not None and self.revision not in REVISIONS


async def look(database: Database) -> Condition | None:
    """None where there is no database yet. Raises DatabaseUnusableError."""
    if not await database.exists():
        return None
    with database.used():
        async with database.read() as connection:
            return Condition(await connection.run_sync(revision_of))


async def try_to_write(database: Database, condition: Condition) -> None:
    """Write as the bot will, to its tables or to make some, and take it back. Raises DatabaseUnusableError."""
    await database.close()  # PostgreSQL lets a connection that has read write also where a first one may not
    with database.used():
        async with database.write() as connection:
            await connection.execute(_ROW if condition.up_to_date else _TABLE)
            await connection.rollback()
