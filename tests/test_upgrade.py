"""Upgrades without downtime: two consecutive versions work side by side on the newer schema."""

import io
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, UniqueConstraint

from postgres import empty_database_url
from processes import RUN_AT, Place, place_in, posted, posts
from weekbot.db.database import Database
from weekbot.db.revision import REVISIONS, upgrade
from weekbot.domain.schedule import WEEK, next_slot
from weekbot.domain.subscriptions import Options
from weekbot.store.subscriptions import Subscriptions

ROOT = Path(__file__).parents[1]
VERSIONS = "src/weekbot/db/migrations/versions"
ANY_VERSIONS = ":(glob)src/weekbot/*/migrations/versions"
"""The migrations of any version: older ones have them in another folder."""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout  # noqa: S603, S607


def commit_before_the_newest_migration() -> str:
    """Return the commit's ID; skip the test if the history is missing."""
    [file] = [path.name for path in (ROOT / VERSIONS).glob(f"{REVISIONS[-1]}_*.py")]
    try:
        first = ("--first-parent", "-m", "--diff-filter=A", "--no-renames")  # it may have been added by a merge
        added = git("log", *first, "--format=%H", "--", f"{ANY_VERSIONS}/{file}").decode().split()
        return git("rev-parse", f"{added[-1]}^").decode().strip()
    except (OSError, IndexError, subprocess.CalledProcessError):
        pytest.skip("the history of the previous version is missing")


@pytest.fixture
def last_version(tmp_path: Path) -> Path:
    """Extract the last version with the schema before the newest migration."""
    archive = git("archive", commit_before_the_newest_migration(), "src", "content", "tests/run_at.py")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path / "last", filter="data")
    return tmp_path / "last"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_the_last_version_posts_on_the_new_schema_and_this_version_continues(
    place: Place, last_version: Path
) -> None:
    channel = place.guild.add_text_channel("weekly")
    place.more, place.program = {"PYTHONPATH": str(last_version / "src")}, last_version / "tests" / RUN_AT.name
    async with place.running():
        assert "gets a topic each week" in (await place.server.interact(channel, "weekly subscribe")).text
    slot = next_slot(Options("everything").weekly("UTC"), datetime.now(UTC)).instant
    ahead = place.at(slot - timedelta(seconds=6))
    bot = await place.start(sys.executable, str(place.program), ahead, "1")
    await place.server.ready()
    await place.start_and_end(sys.executable, "-m", "weekbot", "db", "upgrade", PYTHONPATH="")
    await posted(place, channel)
    assert "Next: " in await place.status(channel)
    bot.terminate()
    assert "Traceback" not in (await bot.communicate())[1].decode()

    place.more, place.program = {}, RUN_AT
    async with place.running(slot + WEEK + timedelta(seconds=5)):
        await place.server.until(lambda: len(posts(place, channel)) == 2, "the second post")
    async with place.database() as database:
        [subscription] = await Subscriptions(database).of_guild(place.guild.id)
    assert subscription.next_slot.instant == slot + 2 * WEEK


def reflected(connection: Connection, revision: str) -> MetaData:
    upgrade(connection, revision)
    found = MetaData()
    found.reflect(connection)
    return found


@pytest.mark.parametrize(("before", "after"), list(pairwise(REVISIONS)))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_migration_is_backward_compatible(tmp_path: Path, kind: str, before: str, after: str) -> None:
    """A migration removes nothing that the previous version uses, and requires nothing that it doesn't know."""
    with empty_database_url(kind, tmp_path) as url:
        await _check(url, before, after)


async def _check(url: str, before: str, after: str) -> None:
    database = Database(url)
    try:
        async with database.write() as connection:
            old = await connection.run_sync(reflected, before)
        async with database.write() as connection:
            new = await connection.run_sync(reflected, after)
    finally:
        await database.close()
    for name, table in old.tables.items():
        now = new.tables[name]
        assert {column.name for column in table.columns} <= {column.name for column in now.columns}
        for column in now.columns:
            known = table.columns.get(column.name)
            optional = column.nullable or column.server_default is not None
            assert optional if known is None else (column.nullable or not known.nullable)
        assert _unique(now) <= _unique(table)


def _unique(table: object) -> set[frozenset[str]]:
    return {
        frozenset(column.name for column in constraint.columns)
        for constraint in getattr(table, "constraints", ())
        if isinstance(constraint, UniqueConstraint)
    }
