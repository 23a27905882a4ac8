"""weekbot commands that serve a page, run as processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `weekbot` in the folder, without settings, and without opening a browser."""
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
    """Yield the page's URL, then stop the command, and check that it ends at once and silently."""
    process = start(folder, *arguments)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "", ""), errors
