"""A throw-away environment with exactly the packages that are named, made by uv."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from weekbot.errors import WeekbotError

INSTALL_SECONDS = 1800  # the largest are gigabytes
NO_SUCH_COMMAND = 127  # as shells have it
MOST_OUTPUT = 20_000  # characters; an example that prints more has gone wrong
# The same everywhere: no screen, no colours, no width or language of somebody's own, and no secret of theirs.
_SAME_EVERYWHERE = {
    "COLUMNS": "80",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "QT_QPA_PLATFORM": "offscreen",
    "SDL_AUDIODRIVER": "dummy",
    "SDL_VIDEODRIVER": "dummy",
}


class UvMissingError(WeekbotError):
    """Examples need uv to create their environments. Run: pip install 'weekbot[content]'"""


class InstallError(Exception):
    """The packages cannot be installed; the message says why."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended, or was ended as it took too long (`exit_code` is None then)."""

    exit_code: int | None
    output: str
    errors: str


@dataclass(frozen=True)
class Environment:
    """`folder` is empty and for the example alone; all of it goes when the block ends."""

    folder: Path
    _prefix: Path

    @property
    def site_packages(self) -> Path:
        return next(self._prefix.glob("lib/python3*/site-packages"))

    def distribution(self, package: str) -> metadata.Distribution:
        """What is installed of the package, with its metadata."""
        return next(iter(metadata.distributions(name=package, path=[str(self.site_packages)])))

    async def run(self, *command: str, seconds: float) -> Finished:
        """Run a command of the environment's in its folder, for at most so long."""
        path = f"{self._prefix / 'bin'}{os.pathsep}{os.defpath}"
        if shutil.which(command[0], path=path) is None:
            return Finished(NO_SUCH_COMMAND, "", f"there is no command {command[0]}")
        return await _run(command, self.folder, {**_SAME_EVERYWHERE, "PATH": path, "HOME": str(self.folder)}, seconds)


@asynccontextmanager
async def throw_away(python: str, requirements: Sequence[str]) -> AsyncIterator[Environment]:
    """An environment for a version range of Python, such as `>=3.11`, with these requirements.

    Raises InstallError and UvMissingError.
    """
    with tempfile.TemporaryDirectory(prefix="weekbot-example-", ignore_cleanup_errors=True) as name:
        prefix, folder = Path(name, "env"), Path(tempfile.mkdtemp(dir=name))
        await uv("venv", "--python", python, str(prefix), folder=folder)
        if requirements:
            await uv("pip", "install", "--python", str(prefix), "--", *requirements, folder=folder)
        yield Environment(folder, prefix)


async def uv(*arguments: str, folder: Path, stdin: str = "") -> str:
    """What uv prints. Its settings and its cache are those of whoever calls. Raises InstallError and UvMissingError."""
    path = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if path is None:
        raise UvMissingError
    finished = await _run((path, "--quiet", *arguments), folder, os.environ, INSTALL_SECONDS, stdin)
    if finished.exit_code != 0:
        raise InstallError(_last_words(finished.errors) or "it took too long")
    return finished.output


def _last_words(errors: str) -> str:
    """The message on one line; uv draws a tree of causes."""
    return " ".join(errors.translate({ord(mark): " " for mark in "×╰─▶├│"}).split())[:500]


async def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float, stdin: str = ""
) -> Finished:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # so that what it started can be ended with it
    )
    ended = asyncio.create_task(process.communicate(stdin.encode()))
    try:
        await asyncio.wait({ended}, timeout=seconds)
    finally:
        in_time = ended.done()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    output, errors = (text.decode("utf-8", "replace")[:MOST_OUTPUT] for text in await ended)
    return Finished(process.returncode if in_time else None, output, errors)
