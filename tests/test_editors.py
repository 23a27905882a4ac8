"""Support for editors: snippets that contain all facts, and a task that parses the output of the check."""

import asyncio
import json
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from conftest import CONTENT
from weekbot.content.model import Category, ConceptFacts, FrameworkFacts, PackageFact, Status

VSCODE = CONTENT.parent / ".vscode"
FLASK = "content/topics/flask.md"


def read(name: str) -> Any:
    return json.loads((VSCODE / name).read_text("utf-8"))


def choices(body: str | list[str]) -> list[str]:
    match = re.search(r"\$\{1\|(.+?)\|\}", "".join(body))
    return match[1].split(",") if match else []


def test_the_snippets_contain_every_fact_and_every_choice() -> None:
    snippets = read("topic.code-snippets")
    assert set(snippets) == set(FrameworkFacts.model_fields) | set(ConceptFacts.model_fields)
    for fact, values in {"category": Category, "status": Status, "differs": PackageFact}.items():
        assert choices(snippets[fact]["body"]) == list(values)


async def test_the_task_parses_the_output_of_the_check(tmp_path: Path) -> None:
    shutil.copytree(CONTENT, tmp_path / "content")
    [task] = read("tasks.json")["tasks"]
    matcher = task["problemMatcher"]
    arguments = task["command"].split()[1:]
    checking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "weekbot", *arguments),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=restore_interrupts,
    )
    try:
        assert await problems(checking, matcher) == []
        valid = (tmp_path / FLASK).read_text("utf-8")
        (tmp_path / FLASK).write_text(valid.replace("title: Flask", "title: ''"), "utf-8")
        assert await problems(checking, matcher) == [(FLASK, 4, 1, "title is empty")]
        (tmp_path / FLASK).write_text(valid, "utf-8")
        assert await problems(checking, matcher) == []
    finally:
        checking.send_signal(signal.SIGINT)
        await checking.communicate()
    assert checking.returncode in (0, 1, 130)


def restore_interrupts() -> None:
    """Restore the handling of interrupts, which shells disable for background processes and their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def problems(checking: asyncio.subprocess.Process, matcher: Any) -> list[tuple[str, int, int, str]]:
    """Return the problems that an editor would show for the next run."""
    pattern, marks = matcher["pattern"], matcher["background"]
    found: list[tuple[str, int, int, str]] = []
    async with asyncio.timeout(30):
        while line := await _line(checking):
            if re.search(marks["endsPattern"], line):
                return found
            if match := re.search(pattern["regexp"], line):
                path, row, column, message = (match[pattern[part]] for part in ("file", "line", "column", "message"))
                found.append((path, int(row), int(column), message))
            else:
                assert re.search(marks["beginsPattern"], line), line
    raise AssertionError("the check ended")


async def _line(checking: asyncio.subprocess.Process) -> str:
    assert checking.stdout
    return (await checking.stdout.readline()).decode().rstrip("\n")
