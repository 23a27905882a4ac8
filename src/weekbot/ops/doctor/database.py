"""Checks of the database that change nothing, and keep no running bot waiting."""

import asyncio
import os
from datetime import datetime
from pathlib import Path

from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import LATEST
from weekbot.db.schema_inspection import ObstacleError, SchemaState, inspect_schema, try_to_write
from weekbot.delivery.token_users import stored_sign
from weekbot.ops.doctor.finding import Finding, Findings, error, ok, warning
from weekbot.store.metadata import Metadata
from weekbot.store.reports.unreadable_rows import UnreadableOption, unknown_names, unreadable_options

PATIENCE_SECONDS = 15
ROWS = "rows"


class Records:
    """The database at a URL; it is `readable` once `check` has found it up to date."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._database: Database | None = None
        self.readable: Database | None = None

    @property
    def file(self) -> Path | None:
        return Path(self._database.name) if self._database and self._database.is_sqlite else None

    async def check(self) -> Findings:
        """Raises DatabaseUnusableError, and TimeoutError if the database doesn't answer."""
        self._database = database = Database(self._url)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await database.check()
            condition = await inspect_schema(database)
        if condition is None:
            yield _none_yet(Path(database.name))
        elif condition.from_newer_version:
            found = f"{database.name} is from a newer weekbot (revision {condition.revision})"
            yield error("database", f"{found}. Install that version, or set WEEKBOT_DATABASE_URL to another database.")
        else:
            yield await self._written(database, condition)

    async def _written(self, database: Database, condition: SchemaState) -> Finding:
        self.readable = database if condition.up_to_date else None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await try_to_write(database, condition)
        except ObstacleError as trouble:
            return error("database", str(trouble))
        except DatabaseUnusableError as trouble:
            return error("database", f"{trouble} weekbot must be able to write to it.")
        return _migrations(database.name, condition)

    async def aclose(self) -> None:
        if self._database:
            await self._database.close()


async def check_rows(database: Database) -> Findings:
    """Report each stored value that can't be read here."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        options, names = await unreadable_options(database), await unknown_names(database)
    for option in options:
        yield error(ROWS, f"{option}; nothing is posted there. {_cure(option)}")
    for name in names:
        yield warning(ROWS, f"{name}; it is ignored. A newer version stored it; install that version.")
    if not options and not names:
        yield ok(ROWS, "all values can be read")


async def check_token_users(database: Database, now: datetime) -> Findings:
    if noticed := await stored_sign(Metadata(database), now):
        yield warning("token", str(noticed))


def _cure(found: UnreadableOption) -> str:
    choose = "or have its moderators choose another one, as `/weekly status` explains there."
    if found.option == "time zone":
        return f"Update the package tzdata, or the system's time zones, and restart weekbot, {choose}"
    return f"Correct it in the database, {choose}"


def _none_yet(path: Path) -> Finding:
    folder = path.absolute().parent
    if not folder.is_dir():
        return error("database", f"There is no folder {folder}; create it, or change WEEKBOT_DATABASE_URL.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return error("database", f"It can't be created in {folder}; give weekbot's user write access there.")
    return warning("database", f"{path} doesn't exist yet; `weekbot run` will create it.")


def _migrations(name: str, condition: SchemaState) -> Finding:
    if condition.revision is None:
        return warning("database", f"{name} has no weekbot tables yet; `weekbot run` will create them.")
    if not condition.up_to_date:
        state = f"{name} is at revision {condition.revision}, this version at {LATEST}"
        return warning("database", f"{state}; `weekbot run`, or `weekbot db upgrade` beforehand, will upgrade it.")
    return ok("database", f"{name} is up to date (revision {condition.revision}) and can be written to")
