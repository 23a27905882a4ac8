"""Watches the content folder for saved files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from watchfiles import awatch

from weekbot.content.loading.folder import content_files

_WATCH_OPTIONS: Final[dict[str, Any]] = {
    "debounce": 300,  # milliseconds: an editor saves in several steps
    # Poll each second, because systems don't notify of changes on network disks, or of a folder that is replaced.
    "rust_timeout": 1000,
    "yield_on_timeout": True,
}
RETRY_SECONDS = 1.0  # while the folder doesn't exist

Fingerprint = frozenset[tuple[str, int, int]]  # each file's name, modification time (ns) and size (bytes)


def fingerprint(directory: Path) -> Fingerprint:
    """Return a value that changes whenever a content file is changed, added or removed."""
    found = set()
    for path in content_files(directory):
        try:
            state = path.stat()
        except OSError:
            continue
        found.add((path.name, state.st_mtime_ns, state.st_size))
    return frozenset(found)


async def watch_changes(directory: Path, seen: Fingerprint) -> AsyncIterator[None]:
    """Yield whenever the fingerprint has changed, until cancelled."""
    async for _ in poll(directory):
        found = await asyncio.to_thread(fingerprint, directory)
        if found != seen:
            seen = found
            yield


async def poll(directory: Path) -> AsyncIterator[None]:
    """Yield after each change that the system reports, and each second."""
    while True:
        try:
            async for _ in awatch(directory, **_WATCH_OPTIONS):
                yield
        except OSError:  # the folder doesn't exist
            await asyncio.sleep(RETRY_SECONDS)
            yield
