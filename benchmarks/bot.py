"""A bot in its own process, and its resource usage."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import psutil

ONLINE = "online"
TIMEOUT_SECONDS = 300
MAX_OUTPUT_BYTES = 1 << 26  # large enough for all unread log output, so that the bot never blocks


class Addresses(Protocol):
    """The addresses and token of a Discord, in this process or another one."""

    @property
    def api_url(self) -> str: ...

    @property
    def gateway_url(self) -> str: ...

    @property
    def token(self) -> str: ...


@dataclass
class Bot:
    """A running bot. It prints a line with the word `online` when it is ready."""

    process: asyncio.subprocess.Process
    output: asyncio.StreamReader
    started: float

    async def wait_for(self, word: str) -> float:
        """Wait for a line with the word; return the seconds since the process was started."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while word not in (line := (await self.output.readline()).decode()):
                if not line:
                    raise RuntimeError(f"the bot ended before it printed {word}")
        return time.monotonic() - self.started

    @property
    def cpu(self) -> float:
        """Return the seconds of user and system time of all threads so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@asynccontextmanager
async def running(server: Addresses, *arguments: str, **settings: str) -> AsyncIterator[Bot]:
    """Run `python ARGUMENTS` with the server's addresses in its environment, and stop it at the end."""
    addresses = {"API_URL": server.api_url, "GATEWAY_URL": server.gateway_url, "TOKEN": server.token}
    own = {f"WEEKBOT_DISCORD_{name}": value for name, value in addresses.items()}
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env=os.environ | own | settings,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=MAX_OUTPUT_BYTES,
    )
    assert process.stdout
    try:
        yield Bot(process, process.stdout, started)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
