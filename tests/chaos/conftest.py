"""The seed of all randomness, and the test environment."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

from postgres import empty_database_url

from .harness import Place, place_in

SEED = os.environ.get("CHAOS_SEED") or str(secrets.randbelow(1_000_000))


def pytest_report_header() -> str:
    return f"CHAOS_SEED={SEED} (repeat with: CHAOS_SEED={SEED} make chaos)"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database, with each backend."""
    with empty_database_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def place(tmp_path: Path, request: pytest.FixtureRequest, url: str) -> AsyncIterator[Place]:
    print(f"CHAOS_SEED={SEED}, and {tmp_path} has the bots' log, and the database if it is SQLite")
    async with place_in(tmp_path, Random(f"{SEED} {request.node.name}"), url) as place:
        yield place
