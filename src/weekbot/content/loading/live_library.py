"""Watches the content folder for saved files, and reloads the library that is served."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from weekbot.content.library import Library
from weekbot.content.loading.folder import content_files, load_library
from weekbot.content.problems import ContentError

log = logging.getLogger(__name__)

DEBOUNCE = 300  # milliseconds: an editor saves in several steps
# Poll each second, because systems don't notify of changes on network disks, or of a folder that is replaced.
POLL = 1000  # milliseconds
RETRY_SECONDS = 1.0  # while the folder doesn't exist

Fingerprint = frozenset[tuple[str, int, int]]  # each file's name, modification time (ns) and size (bytes)


def fingerprint(directory: Path) -> Fingerprint:
    """Return a value that changes whenever a content file is changed, added or removed."""
    found = set()
    for path in content_files(directory):
        with suppress(OSError):
            state = path.stat()
            found.add((path.name, state.st_mtime_ns, state.st_size))
    return frozenset(found)


async def watch_changes(directory: Path) -> AsyncIterator[None]:
    """Yield at once, and whenever the fingerprint has changed since, until cancelled."""
    seen = fingerprint(directory)
    yield
    async for _ in poll(directory):
        if (found := await asyncio.to_thread(fingerprint, directory)) != seen:
            seen = found
            yield


async def poll(directory: Path) -> AsyncIterator[None]:
    """Yield after each change that the system reports, and each second."""
    from watchfiles import awatch  # here, because its library anyio is slow to import; the bot goes online first

    while True:
        try:
            async for _ in awatch(directory, debounce=DEBOUNCE, rust_timeout=POLL, yield_on_timeout=True):
                yield
        except OSError:  # the folder doesn't exist
            await asyncio.sleep(RETRY_SECONDS)
            yield


class LiveLibrary:
    """Holds the current library; a reload replaces it as a whole, or keeps the last good one."""

    def __init__(self, directory: Path, load: Callable[[Path], Library] = load_library) -> None:
        self.directory = directory
        self._load = load
        self._seen = fingerprint(directory)
        self._lock = asyncio.Lock()  # so that the result of the last reload stays
        self.current = load(directory)
        self.problems = 0  # the number of those that prevented the last reload

    async def reload(self) -> bool:
        """Read the folder again; return whether the new library is in use."""
        async with self._lock:
            self._seen = await asyncio.to_thread(fingerprint, self.directory)
            try:
                self.current = await asyncio.to_thread(self._load, self.directory)
            except ContentError as error:
                for problem in error.problems:
                    log.error("%s", problem)
                self.problems = len(error.problems)
                log.error("content not reloaded: %d problems, the last good content stays", self.problems)
                return False
            self.problems = 0
            log.info("content reloaded: %d topics", len(self.current.topics))
            return True

    async def refresh(self) -> bool:
        """Reload if a file was saved since the last time; return whether the folder was read."""
        if await asyncio.to_thread(fingerprint, self.directory) == self._seen:
            return False
        await self.reload()
        return True

    async def watch(self) -> None:
        async for _ in self.changes():
            pass

    async def changes(self) -> AsyncIterator[None]:
        """Reload whenever a file is saved, and yield after each attempt."""
        async for _ in poll(self.directory):
            if await self.refresh():
                yield
