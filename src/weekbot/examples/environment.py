"""Uses uv to create temporary environments for examples, and to look up the newest releases of packages."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from weekbot.runtime.errors import WeekbotError

INSTALL_SECONDS = 1800  # the largest packages are gigabytes
COMMAND_NOT_FOUND = 127  # a shell's exit code
MAX_OUTPUT = 20_000  # characters; no working example prints more
PYTHON_VERSION = "3.13"  # an older Python would miss releases that need a newer one
# The same on all machines, without a screen, colours, or anyone's width, language and secrets.
_VARIABLES = {
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
    """The packages can't be installed; the message has the reason."""


@dataclass(frozen=True)
class CommandResult:
    exit_code: int | None  # None if the command was killed because it took too long
    output: str
    errors: str


@dataclass(frozen=True)
class Environment:
    folder: Path  # empty at first, for the example alone
    _prefix: Path

    def distribution(self, package: str) -> metadata.Distribution:
        site_packages = next(self._prefix.glob("lib/python3*/site-packages"))
        return next(iter(metadata.distributions(name=package, path=[str(site_packages)])))

    async def run(self, *command: str, seconds: float) -> CommandResult:
        path = f"{self._prefix / 'bin'}{os.pathsep}{os.defpath}"
        if shutil.which(command[0], path=path) is None:
            return CommandResult(COMMAND_NOT_FOUND, "", f"there is no command {command[0]}")
        return await _run(command, self.folder, {**_VARIABLES, "PATH": path, "HOME": str(self.folder)}, seconds)


@asynccontextmanager
async def temporary_environment(python: str, requirements: Sequence[str]) -> AsyncIterator[Environment]:
    """Create an environment for Python versions such as `>=3.11`. Raises InstallError and UvMissingError."""
    with tempfile.TemporaryDirectory(prefix="weekbot-example-", ignore_cleanup_errors=True) as name:
        prefix, folder = Path(name, "env"), Path(tempfile.mkdtemp(dir=name))
        await uv("venv", "--python", python, str(prefix), folder=folder)
        if requirements:
            await uv("pip", "install", "--python", str(prefix), "--", *requirements, folder=folder)
        yield Environment(folder, prefix)


async def newest_releases(packages: Iterable[str]) -> dict[NormalizedName, str]:
    """Return the newest stable release of each package. Raises InstallError and UvMissingError."""
    arguments = ("pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--python-version", PYTHON_VERSION, "-")
    with tempfile.TemporaryDirectory() as folder:
        pinned = await uv(*arguments, folder=Path(folder), stdin="\n".join(packages))
    requirements = [Requirement(line) for line in pinned.splitlines() if "==" in line]
    return {canonicalize_name(each.name): str(next(iter(each.specifier)).version) for each in requirements}


async def uv(*arguments: str, folder: Path, stdin: str = "") -> str:
    """Return the output of uv, run with the caller's settings and cache. Raises InstallError and UvMissingError."""
    path = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if path is None:
        raise UvMissingError
    result = await _run((path, "--quiet", *arguments), folder, os.environ, INSTALL_SECONDS, stdin)
    if result.exit_code != 0:
        tree = str.maketrans("×╰─▶├│", " " * 6)  # uv draws a tree of causes
        message = " ".join(result.errors.translate(tree).split())
        raise InstallError(message[:500] or "it took too long")
    return result.output


async def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float, stdin: str = ""
) -> CommandResult:
    # In a session of its own, so that its child processes can be killed, too.
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    communication = asyncio.create_task(process.communicate(stdin.encode()))
    try:
        await asyncio.wait({communication}, timeout=seconds)
    finally:
        in_time = communication.done()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    output, errors = (text.decode("utf-8", "replace")[:MAX_OUTPUT] for text in await communication)
    return CommandResult(process.returncode if in_time else None, output, errors)
