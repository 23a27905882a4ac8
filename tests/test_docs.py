"""The documents name all that there is."""

import re
from pathlib import Path
from typing import Any

import typer

from weekbot.cli.root import cli
from weekbot.content.model import ConceptBody, ConceptFacts, FrameworkBody, FrameworkFacts
from weekbot.settings import PREFIX, Settings
from weekbot.store.tables import metadata, progress

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def commands(command: Any, name: str = "weekbot") -> list[str]:
    """The full name of every command in a group of groups."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [name]
    return [full for part, each in inner.items() for full in commands(each, f"{name} {part}")]


def test_the_readme_names_every_command_of_the_command_line() -> None:
    missing = [name for name in commands(typer.main.get_command(cli)) if name not in README]
    assert not missing


def test_the_example_names_every_setting_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(rf"^#? ?({PREFIX}\w+)=", example, re.MULTILINE))
    assert named == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_the_content_guide_shows_every_fact_and_section() -> None:
    guide = (ROOT / "content" / "README.md").read_text("utf-8")
    facts = [f"{name}:" for model in (ConceptFacts, FrameworkFacts) for name in model.model_fields]
    headings = [str(field.title) for body in (ConceptBody, FrameworkBody) for field in body.model_fields.values()]
    assert [name for name in [*facts, *headings] if name not in guide] == []


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "content" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8")):
            if "…" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_privacy_policy_tells_all_that_is_kept_about_a_member() -> None:
    policy = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    told = {
        "member_id": "your Discord user id",
        "topic": "the topic",
        "finished_at": "when you finished it",
        "quiz_at": "when you first answered its quiz",
        "quiz_right": "whether the answer was right",
    }
    assert set(told) == set(progress.c.keys())
    assert [phrase for phrase in told.values() if phrase not in policy] == []
    columns = [column for table in metadata.tables.values() for column in table.columns]
    assert [column for column in columns if re.search("member|user|author", column.name)] == [progress.c.member_id]
