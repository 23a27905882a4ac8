"""`make help` lists every target."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "")


def listed_targets(*arguments: str) -> list[str]:
    """Return the targets that make lists when called with the arguments."""
    command = ["make", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - this Makefile
    return re.findall(r"^  make ([a-z-]+) +[A-Z]", result.stdout, re.MULTILINE)


def test_the_help_lists_every_target() -> None:
    written = re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE)
    assert sorted(listed_targets("help")) == sorted(set(written))


def test_every_target_is_phony() -> None:
    [phony] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert sorted(phony.split()) == sorted(listed_targets("help"))


def test_make_alone_shows_the_help() -> None:
    assert listed_targets() == listed_targets("help")
