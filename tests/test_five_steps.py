"""The five steps to a new topic, followed as in CONTRIBUTING."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import tiny_package
from conftest import CONTENT
from weekbot.cli.main import cli
from weekbot.content.loading.folder import read_draft
from weekbot.content.loading.live_library import LiveLibrary

STEPS = re.search(
    r"## Add a topic in five steps\n(.+?)\n## ", (CONTENT.parent / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL
)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone's content, and a package for the new topic."""
    shutil.copytree(CONTENT, tmp_path / "content")
    tiny_package.write_wheel(tmp_path / "wheels")
    for name, value in {"FIND_LINKS": str(tmp_path / "wheels"), "OFFLINE": "1", "NO_INDEX": "1"}.items():
        monkeypatch.setenv(f"UV_{name}", value)
    monkeypatch.delenv("WEEKBOT_CONTENT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> dict[str, list[str]]:
    """Return the commands in the numbered steps, by their third word."""
    assert STEPS
    numbered = STEPS[1][STEPS[1].index("\n1. ") :]
    lines = re.findall(r"`weekbot (content [\w-]+(?: [\w-]+)?)`", numbered)
    return {line.split()[1]: line.split() for line in lines}


def run(command: list[str], exit_code: int = 0) -> Result:
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == exit_code, result.output
    return result


def test_the_five_steps_lead_to_a_topic_that_a_running_bot_picks_up(clone: Path) -> None:
    steps = commands()
    assert list(steps)[:4] == ["new", "preview", "check", "test"]
    running = LiveLibrary(clone / "content")

    run(steps["new"])
    path = clone / "content" / "topics" / "my-topic.md"
    assert read_draft(clone / "content", "my-topic").topic is None
    run(steps["check"], exit_code=1)

    example = "from tiny_package import greet\nprint(greet('Ada'))"
    path.write_text(tiny_package.topic(example, "Hello, Ada"), "utf-8")
    draft = read_draft(clone / "content", "my-topic")
    assert draft.topic
    assert [problem.message for problem in draft.problems] == ["is not in the track everything; add it in tracks.yaml"]

    tracks = clone / "content" / "tracks.yaml"
    tracks.write_text(tracks.read_text("utf-8").replace("- flask\n", "- flask\n      - my-topic\n", 1), "utf-8")
    run(steps["check"])
    assert "1 ran and match" in run(steps["test"]).stderr

    assert asyncio.run(running.refresh())
    assert running.current.find("Tiny") is running.current.topics["my-topic"]
