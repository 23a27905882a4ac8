"""`make` explains itself: every target has its line in the help."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "")


def shown(*arguments: str) -> list[str]:
    """Return the targets that make lists when called with the arguments."""
    command = ["make", *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - this Makefile
    return re.findall(r"^  make ([a-z-]+) +[A-Z]", answer.stdout, re.MULTILINE)


def test_the_help_lists_every_target() -> None:
    written = re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE)
    assert sorted(shown("help")) == sorted(set(written))


def test_every_target_is_phony() -> None:
    [phony] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert sorted(phony.split()) == sorted(shown("help"))


def test_make_alone_shows_the_help() -> None:
    assert shown() == shown("help")
