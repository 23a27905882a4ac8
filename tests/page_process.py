"""weekbot commands that serve a page, as processes: what they say, and how they end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`weekbot` with these arguments in the folder, with no settings and no browser of its own."""
    return subprocess.Popen(  # noqa: S603 - it runs this very package
        [sys.executable, "-m", "weekbot", *arguments, "--no-browser"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[str]:
    """The page's address; at the end the command is told to stop, which it does at once and without a word."""
    process = start(folder, *arguments)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=30)
    assert (process.returncode, said, errors) == (0, "", ""), errors
