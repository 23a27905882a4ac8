"""What condition a database is in, looked at beside a bot that may be running: nothing is changed or held."""

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text

from weekbot.store.database import Database, migration_config
from weekbot.store.tables import facts

_ROW = insert(facts).values(name="doctor", value="taken back")
_TABLE = text("CREATE TABLE weekbot_doctor (taken_back INTEGER)")


@dataclass(frozen=True)
class Condition:
    """The migration that was applied last, None where none was; `known` holds all, `newest` is the last of them."""

    revision: str | None
    newest: str
    known: frozenset[str]

    @property
    def up_to_date(self) -> bool:
        return self.revision == self.newest

    @property
    def from_newer_version(self) -> bool:
        return self.revision is not None and self.revision not in self.known


async def look(database: Database) -> Condition | None:
    """None where there is no database yet. Raises DatabaseUnusableError."""
    if not await database.exists():
        return None
    with database.used():
        async with database.read() as connection:
            return await connection.run_sync(_condition)


def _condition(connection: Connection) -> Condition:
    script = ScriptDirectory.from_config(migration_config(connection))
    known = [each.revision for each in script.walk_revisions()]  # the newest first
    return Condition(MigrationContext.configure(connection).get_current_revision(), known[0], frozenset(known))


async def try_to_write(database: Database, condition: Condition) -> None:
    """Write as the bot will, to its tables or to make some, and take it back. Raises DatabaseUnusableError."""
    await database.close()  # PostgreSQL lets a connection that has read write also where a first one may not
    with database.used():
        async with database.write() as connection:
            await connection.execute(_ROW if condition.up_to_date else _TABLE)
            await connection.rollback()
