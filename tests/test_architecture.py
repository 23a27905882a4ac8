"""The architecture page names every package, and only paths that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "weekbot"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMED = set(re.findall(r"`([\w./-]*(?:/|\.(?:py|md|yml|yaml|json|example)))`", PAGE))
"""Paths in the source or the repository; folders end with a slash."""


def test_every_path_exists() -> None:
    assert [path for path in sorted(NAMED) if not (SOURCE / path).exists() and not (ROOT / path).exists()] == []


def test_every_package_is_named() -> None:
    packages = {f"{path.parent.relative_to(SOURCE)}/" for path in SOURCE.glob("*/__init__.py")}
    modules = {path.name for path in SOURCE.glob("[!_]*.py")}
    assert packages | modules <= NAMED


def test_the_diagram_shows_every_package() -> None:
    diagram = PAGE.split("```")[1]
    assert [path.parent.name for path in SOURCE.glob("*/__init__.py") if f"{path.parent.name}/" not in diagram] == []
