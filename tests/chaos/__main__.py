"""Runs each test of this folder in its own process, several at a time, because they mostly wait.

`python -m chaos test_adversary` runs the tests whose names contain one of the words.
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
MAX_CONCURRENT = 4
LONGEST_SECONDS = 1200
SUMMARY_PREFIX = "adversary"  # only lines with this prefix are shown for a test that passes
# Started first, so that nothing waits for them at the end.
LONGEST = ("test_adversary", "test_failover", "test_under_faults", "test_killed")


@dataclass(frozen=True)
class Result:
    test: str
    code: int
    seconds: float
    report: str

    def __str__(self) -> str:
        """Return one line and the adversary's summary, or the whole report of a failure."""
        *lines, last = self.report.splitlines()
        result = f"{self.seconds:5.0f} s  {last.strip('= ')}  {self.test}"
        return "\n".join(
            [*(lines if self.code else (each for each in lines if each.startswith(SUMMARY_PREFIX))), result]
        )


async def main(*words: str) -> int:
    print(f"CHAOS_SEED={SEED} (repeat with: CHAOS_SEED={SEED} make chaos)", flush=True)
    started, folder, slots = time.monotonic(), Path(mkdtemp(prefix="weekbot-chaos-")), asyncio.Semaphore(MAX_CONCURRENT)
    tests = sorted(await collected(words), key=lambda test: not any(name in test for name in LONGEST))
    results = await asyncio.gather(*(run(test, folder / str(number), slots) for number, test in enumerate(tests)))
    failed = [result.test for result in results if result.code]
    print(f"{len(results)} tests, {len(failed)} failed, in {time.monotonic() - started:.0f} s")
    if failed:
        print(f"The bots' logs and databases are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed or not results else 0


async def collected(words: Sequence[str]) -> list[str]:
    """Return the IDs of the tests whose names contain one of the words; without words, of all tests."""
    _, listing = await pytest("--collect-only", str(HERE))
    tests = re.findall(r"^\S+::\S+$", listing, re.MULTILINE)
    return [test for test in tests if not words or any(word in test for word in words)]


async def run(test: str, folder: Path, slots: asyncio.Semaphore) -> Result:
    async with slots:
        started = time.monotonic()
        code, report = await pytest(test, f"--basetemp={folder}")
    result = Result(test, code, time.monotonic() - started, report.strip())
    print(result, flush=True)
    return result


async def pytest(*arguments: str) -> tuple[int, str]:
    """Run pytest; return its exit code and output."""
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
