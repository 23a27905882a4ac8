"""Modules that aren't imported at startup, and GC tuning."""

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


async def test_alembic_is_imported_only_if_there_is_something_to_migrate(database: Database, tmp_path: Path) -> None:
    def imports_alembic(url: str) -> str:
        command = [sys.executable, "-c", START, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603

    assert imports_alembic(database.engine.url.render_as_string(hide_password=False)).strip() == "False"
    assert imports_alembic(f"sqlite:///{tmp_path / 'new.db'}").strip() == "True"


def test_rich_is_not_imported() -> None:
    command = [sys.executable, "-c", "import sys, weekbot.cli.main, weekbot.run; print('rich' in sys.modules)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"  # noqa: S603


def loaded(code: str, *arguments: str) -> set[str]:
    """Return the names of the modules that a new process has loaded after the code, even if that exits."""
    report = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    command = [sys.executable, "-c", report, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())  # noqa: S603


def test_the_bot_loads_later_what_it_may_not_need() -> None:
    names = loaded("import weekbot.run")
    assert {"discord", "sqlalchemy.ext.asyncio"} <= names
    assert names & {"sqlalchemy.dialects.postgresql", "watchfiles", "alembic"} == set()


def test_the_data_of_time_zones_is_loaded_when_it_is_used() -> None:
    code = "from babel import core; from weekbot.domain import timezones; assert not core._global_data; "
    assert loaded(code + "assert timezones.parse('japan') == 'Asia/Tokyo'; assert core._global_data")


def test_help_loads_no_library_but_that_of_the_command_line() -> None:
    names = loaded("from weekbot.__main__ import main\nmain()", "--help")
    assert "typer" in names
    libraries = {"sqlalchemy", "discord", "pydantic", "structlog", "yaml", "rapidfuzz", "babel", "asyncio", "email"}
    assert names & libraries == set()


def test_checking_content_loads_no_library_of_the_bot() -> None:
    names = loaded("from weekbot.__main__ import main\nmain()", "content", "check", "content")
    assert "pydantic" in names
    libraries = {"sqlalchemy", "discord", "structlog", "babel", "watchfiles", "dotenv", "weekbot.settings"}
    assert names & libraries == set()


@pytest.fixture
def default_thresholds() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()  # another test may have started a bot in this process
    gc.set_threshold(*gc_tuning.DEFAULT_THRESHOLDS)
    yield gc_tuning.DEFAULT_THRESHOLDS
    gc.set_threshold(*before)
    gc.unfreeze()


def test_startup_objects_are_frozen_and_other_objects_are_collected_as_usual(
    default_thresholds: tuple[int, int, int],
) -> None:
    gc_tuning.raise_gc_threshold()
    assert gc.get_threshold()[0] == gc_tuning.STARTUP_THRESHOLD
    startup_object = ["a list that stays"]
    gc_tuning.freeze_startup_objects()
    assert gc.get_threshold() == default_thresholds
    assert not any(each is startup_object for each in gc.get_objects())
