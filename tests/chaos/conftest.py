"""The seed of everything that is left to chance."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from .harness import Place, place_in

SEED = os.environ.get("CHAOS_SEED") or str(secrets.randbelow(1_000_000))


def pytest_report_header() -> str:
    return f"CHAOS_SEED={SEED} (repeat with: CHAOS_SEED={SEED} make chaos)"


@pytest.fixture
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    print(f"CHAOS_SEED={SEED}, and {tmp_path} has the bots' log and database")
    async with place_in(tmp_path, Random(f"{SEED} {request.node.name}")) as place:
        yield place
