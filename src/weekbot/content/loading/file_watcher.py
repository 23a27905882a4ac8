"""Noticing that content files were saved."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from watchfiles import awatch

from weekbot.content.loading.folder import content_files

_WATCH_OPTIONS: Final[dict[str, Any]] = {
    "debounce": 300,  # milliseconds: an editor saves in several steps
    # Each second it is looked for what no system tells of: on a network's disk, or in a folder that was replaced.
    "rust_timeout": 1000,
    "yield_on_timeout": True,
}
RETRY_SECONDS = 1.0  # while the folder is gone

Fingerprint = frozenset[tuple[str, int, int]]
"""Each file's name, when it was changed (nanoseconds) and its size (bytes)."""


def fingerprint(directory: Path) -> Fingerprint:
    """Another one whenever a content file was changed, added or taken away."""
    found = set()
    for path in content_files(directory):
        try:
            state = path.stat()
        except OSError:
            continue
        found.add((path.name, state.st_mtime_ns, state.st_size))
    return frozenset(found)


async def watch_changes(directory: Path, seen: Fingerprint) -> AsyncIterator[None]:
    """Each time that the fingerprint has become another one, until cancelled."""
    async for _ in poll(directory):
        found = await asyncio.to_thread(fingerprint, directory)
        if found != seen:
            seen = found
            yield


async def poll(directory: Path) -> AsyncIterator[None]:
    """After each change, as far as the system tells of it, and each second."""
    while True:
        try:
            async for _ in awatch(directory, **_WATCH_OPTIONS):
                yield
        except OSError:  # the folder is gone
            await asyncio.sleep(RETRY_SECONDS)
            yield
