"""What isn't imported at startup."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from weekbot.db.database import Database
from weekbot.runtime import gc_tuning

START = """
import asyncio, sys
import weekbot.run
from weekbot.db.database import Database

async def start():
    database = Database(sys.argv[1])
    await database.upgrade()
    await database.close()

asyncio.run(start())
print("alembic" in sys.modules)
"""


async def test_alembic_is_loaded_only_where_there_is_something_to_migrate(database: Database, tmp_path: Path) -> None:
    def loads(url: str) -> str:
        started = [sys.executable, "-c", START, url]
        return subprocess.run(started, capture_output=True, text=True, check=True).stdout  # noqa: S603

    assert loads(database.engine.url.render_as_string(hide_password=False)).strip() == "False"
    assert loads(f"sqlite:///{tmp_path / 'new.db'}").strip() == "True"


def test_nothing_is_loaded_for_colourful_tracebacks() -> None:
    started = [sys.executable, "-c", "import sys, weekbot.cli.main, weekbot.run; print('rich' in sys.modules)"]
    assert subprocess.run(started, capture_output=True, text=True, check=True).stdout.strip() == "False"  # noqa: S603


def test_commands_without_a_database_do_not_load_its_libraries() -> None:
    started = [sys.executable, "-c", "import sys, weekbot.cli.main; print('sqlalchemy' in sys.modules)"]
    assert subprocess.run(started, capture_output=True, text=True, check=True).stdout.strip() == "False"  # noqa: S603


@pytest.fixture
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()  # another test may have started a bot in this process
    gc.set_threshold(*gc_tuning.DEFAULT_THRESHOLDS)
    yield gc_tuning.DEFAULT_THRESHOLDS
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_was_there_at_the_start_is_spared_and_the_rest_is_collected_as_usual(usual: tuple[int, int, int]) -> None:
    gc_tuning.raise_gc_threshold()
    assert gc.get_threshold()[0] == gc_tuning.STARTUP_THRESHOLD
    stays = ["a list that stays"]
    gc_tuning.freeze_startup_objects()
    assert gc.get_threshold() == usual
    assert not any(each is stays for each in gc.get_objects())
