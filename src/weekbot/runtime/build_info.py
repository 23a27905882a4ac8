"""The version of weekbot and the commit it was built from."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from weekbot import __version__

UNKNOWN = "unknown"
FILE = Path(__file__).parents[1] / "COMMIT"  # written when an image is built
ROOT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 5.0


@cache
def build_info() -> Mapping[str, str]:
    """Return the `version` and the `commit`, which is "unknown" unless the build, pip or Git recorded it."""
    recorded = FILE.read_text("utf-8").strip() if FILE.is_file() else ""
    return {"version": __version__, "commit": recorded or _pip_commit() or _git_commit() or UNKNOWN}


def _pip_commit() -> str:
    origin = json.loads(distribution("weekbot").read_text("direct_url.json") or "{}")
    return str(origin.get("vcs_info", {}).get("commit_id", ""))


def _git_commit() -> str:
    if not (ROOT / ".git").exists():
        return ""
    command = ("git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty")
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
