"""The library that is being served, and its reload when a file was saved."""

import asyncio
import logging
from pathlib import Path

from watchfiles import awatch

from weekbot.content.files import load_library
from weekbot.content.library import Library
from weekbot.content.problem import ContentError

log = logging.getLogger(__name__)

DEBOUNCE_MILLISECONDS = 300  # an editor saves in several steps


class LiveLibrary:
    """Holds the current library; a reload swaps in a whole new one or keeps the last good one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.current: Library = load_library(directory)

    async def reload(self) -> bool:
        """Read the folder again; True where the new library is in place."""
        try:
            self.current = await asyncio.to_thread(load_library, self.directory)
        except ContentError as error:
            for problem in error.problems:
                log.error("%s", problem)
            log.error("content not reloaded: %d problems, the last good content stays", len(error.problems))
            return False
        log.info("content reloaded: %d topics", len(self.current.topics))
        return True

    async def watch(self) -> None:
        """Reload whenever a file was saved, until cancelled."""
        async for _ in awatch(self.directory, debounce=DEBOUNCE_MILLISECONDS):
            await self.reload()
