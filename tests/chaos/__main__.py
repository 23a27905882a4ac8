"""Runs each test of this folder in a process of its own, several at once, as they wait more than they work.

`python -m chaos test_adversary` runs those with one of these words in their names.
"""

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from chaos.conftest import SEED

HERE = Path(__file__).parent
AT_ONCE = 4
LONGEST_SECONDS = 1200
ACCOUNT = "adversary"  # with which the lines begin that are shown of a test that passes
# Begun first, so that nothing waits for them in the end.
LONGEST = ("test_adversary", "test_failover", "test_under_faults", "test_killed")


@dataclass(frozen=True)
class Result:
    test: str
    code: int
    seconds: float
    report: str

    def __str__(self) -> str:
        """One line and the adversary's account, or all there is to know of a failure."""
        *told, last = self.report.splitlines()
        line = f"{self.seconds:5.0f} s  {last.strip('= ')}  {self.test}"
        return "\n".join([*(told if self.code else (each for each in told if each.startswith(ACCOUNT))), line])


async def main(*words: str) -> int:
    print(f"CHAOS_SEED={SEED} (repeat with: CHAOS_SEED={SEED} make chaos)", flush=True)
    begun, folder, places = time.monotonic(), Path(mkdtemp(prefix="weekbot-chaos-")), asyncio.Semaphore(AT_ONCE)
    tests = sorted(await collected(words), key=lambda test: not any(name in test for name in LONGEST))
    results = await asyncio.gather(*(run(test, folder / str(number), places) for number, test in enumerate(tests)))
    failed = [result.test for result in results if result.code]
    print(f"{len(results)} tests, {len(failed)} failed, in {time.monotonic() - begun:.0f} s")
    if failed:
        print(f"The bots' logs and databases are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed or not results else 0


async def collected(words: Sequence[str]) -> list[str]:
    """The ids of the tests, of all unless words are given."""
    _, listing = await pytest("--collect-only", str(HERE))
    tests = re.findall(r"^\S+::\S+$", listing, re.MULTILINE)
    return [test for test in tests if not words or any(word in test for word in words)]


async def run(test: str, folder: Path, places: asyncio.Semaphore) -> Result:
    async with places:
        begun = time.monotonic()
        code, report = await pytest(test, f"--basetemp={folder}")
    result = Result(test, code, time.monotonic() - begun, report.strip())
    print(result, flush=True)
    return result


async def pytest(*arguments: str) -> tuple[int, str]:
    """Its exit code and what it says."""
    options = ("--quiet", "--capture=no", "-m", "chaos", f"--timeout={LONGEST_SECONDS}")
    command = (sys.executable, "-m", "pytest", *options, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"CHAOS_SEED": SEED},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
