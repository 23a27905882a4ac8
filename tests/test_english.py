"""Texts for people: plain English, in the form that Discord uses."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from discord import app_commands

from catalogues import SOURCE, commands, template
from weekbot.bot.commands import Command
from weekbot.cli.main import cli

DESCRIPTION_LENGTH = 100  # the most that Discord takes
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
TYPER_OPTIONS = {"install_completion", "show_completion"}  # options that Typer adds, with its own help

RELAPSES = [
    r"\bleft out\b|\bwhere (?:none|nothing|not|no) ",  # a default: "Default: Monday"; "if none is set"
    r"\b(?:is|are|was|were) told\b|\btells? of\b|\bsays? of\b",  # "is notified", "reports"
    r"(?<!here )\b(?:is|are) no (?!longer\b|more\b)",  # "isn't a valid time"
    r"\b(?:of|than any of) weekbot's\b",  # "a weekbot database"
    r" as of ",
    r"\bso (?:many|few)\b",  # "up to 10", "maximum number of rows"
    r"\bcannot be had\b|\bis done with\b",  # "is unavailable", "has finished"
    r"\bstands? here\b|\bstands? by\b",  # "is duplicated", "is on standby"
    r"\b(?:[Ff]irst|[Nn]ext|resume`) comes\b|\bcomes (?:next|\*\*)",  # "Next: pandas"
    r"\b(?:goes|go) on (?:with|where|posting)\b|\b(?:may|can) run on\b",  # "continues with", "can keep running"
    r"\b(?:is|are) there already\b|\b(?:what|that) is there\b",  # "already exists"
    r"\ball that is kept\b|\bwhat (?:is kept|holds)\b",  # "all data stored about you"
    r"\bwhere I (?:say|tell)\b|\bsay what is wrong\b",  # "channel for notices about problems"
    r"\bWho(?:ever)? (?:has|may)\b",  # "Anyone with Manage Server"
    r"\bis in trouble\b|\ball (?:is )?well\b",  # "There is a problem with", "no problems"
    r"\b(?:by now|anew|what there is|, also beside)\b",
]


def source_texts() -> Iterator[str]:
    """Yield every text in the source except log messages and docstrings, and the docstrings that are error messages."""
    for path in SOURCE.rglob("*.py"):
        if path.name == "metrics.py":
            continue  # their help is documented in docs/metrics.md
        tree = ast.parse(path.read_text("utf-8"))
        yield from (text for node in ast.walk(tree) if (text := _sentence_of(node)))
        yield from (text for node in _shown(tree) if (text := _text(node)))


def _sentence_of(node: ast.AST) -> str | None:
    is_error = isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["WeekbotError"]
    return ast.get_docstring(node) if is_error and isinstance(node, ast.ClassDef) else None


def _shown(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the descendants that are neither in a log call nor in an f-string, nor standalone strings."""
    for child in ast.iter_child_nodes(node):
        if not _is_log_call(child) and not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield child
            if not isinstance(child, ast.JoinedStr):
                yield from _shown(child)


def _is_log_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def messages() -> Iterator[str]:
    """Yield the English messages of the catalogues, including the names of slash commands."""
    for message in template():
        yield from message.id if isinstance(message.id, tuple | list) else [message.id]


def helps(command: Any) -> Iterator[tuple[str, str, bool]]:
    """Yield a command's name, help and whether it's a command, then the same for its parameters and subcommands."""
    yield command.name, command.help or "", True
    for parameter in command.params:
        if parameter.name not in TYPER_OPTIONS and parameter.help:
            yield f"{command.name} {parameter.name}", parameter.help, False
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


def descriptions(command: Command) -> Iterator[tuple[str, str]]:
    """Yield the names and descriptions of a slash command, its options and its subcommands."""
    yield command.qualified_name, command.description
    if isinstance(command, app_commands.Group):
        for inner in command.commands:
            yield from descriptions(inner)
    else:
        yield from ((f"{command.qualified_name} {each.name}", str(each.description)) for each in command.parameters)


HELPS = list(helps(typer.main.get_command(cli)))
TEXTS = sorted({*source_texts(), *messages(), *(text for _, text, _ in HELPS)})


@pytest.mark.parametrize("relapse", RELAPSES)
def test_no_text_relapses_into_translated_english(relapse: str) -> None:
    assert [text for text in TEXTS if re.search(relapse, text)] == []


@pytest.mark.parametrize(
    ("name", "text"), [pair for command in commands() for pair in descriptions(command)], ids=lambda part: part
)
def test_a_description_in_discord_is_short_and_has_no_full_stop(name: str, text: str) -> None:
    assert text[:1].isupper(), name
    assert not text.endswith("."), name
    assert len(text) <= DESCRIPTION_LENGTH, name


@pytest.mark.parametrize(("name", "text", "is_command"), HELPS, ids=str)
def test_help_is_a_sentence_for_a_command_and_a_phrase_for_an_option(name: str, text: str, is_command: bool) -> None:
    assert text[:1].isupper(), name
    assert text.endswith(".") is is_command, name
