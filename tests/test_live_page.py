"""The demo's live page, with a preview that draws nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from weekbot.demo.live_page import CHANGES, LivePage

ITERATIONS = range(5)
"""Of the event loop, between a change and the end; the change is noticed within the first few."""


class Preview:
    async def _action(self, *_: object) -> None: ...

    async def refresh(self) -> None: ...


@pytest.mark.parametrize("iterations", ITERATIONS)
async def test_the_page_stops_also_in_the_moment_of_a_change(iterations: int) -> None:
    backend = SimpleNamespace(clock=SimpleNamespace(catch_up=lambda: None), subscribers=[])
    env: Any = SimpleNamespace(backend=backend)
    preview: Any = Preview()
    page = LivePage(env, preview)
    async with asyncio.timeout(10):
        async with page.running():
            await asyncio.sleep(0.1)
            page._notice(next(iter(CHANGES)), None)
            for _ in range(iterations):
                await asyncio.sleep(0)
