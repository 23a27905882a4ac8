"""The library that is served, reloaded whenever a content file is saved."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from weekbot.content.library import Library
from weekbot.content.loading.file_watcher import fingerprint, poll
from weekbot.content.loading.folder import load_library
from weekbot.content.problems import ContentError

log = logging.getLogger(__name__)


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
