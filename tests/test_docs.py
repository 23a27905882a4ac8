"""The documentation is complete, and names only what exists."""

import ast
import asyncio
import os
import re
import shlex
import shutil
import signal
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
from discord import app_commands

from discord_server import DiscordServer
from weekbot.bot.commands import described_commands
from weekbot.cli.main import cli
from weekbot.content.model import ConceptBody, ConceptFacts, FrameworkBody, FrameworkFacts
from weekbot.db.tables import metadata, progress
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.setting_sources import PREFIX
from weekbot.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "content" / "README.md"]


Options = frozenset[str]


def rows(document: str) -> list[list[str]]:
    """Return the cells of the rows in a document's tables, without header rows."""
    lines = re.findall(r"^\| (`.*) \|$", (ROOT / "docs" / document).read_text("utf-8"), re.MULTILINE)
    return [re.split(r" *\| *", line) for line in lines]


def documented(document: str, kind: str) -> dict[str, Options]:
    """Return the documented commands whose names begin with `kind`, with their options."""
    cells = [(first.strip("`"), second) for first, second, *_ in rows(document) if first.startswith(f"`{kind}")]
    return {name: frozenset(re.findall("`(.+?)`", options)) for name, options in cells}


def slash_commands() -> dict[str, Options]:
    commands = described_commands(has_home_channel=True)
    walked = [each for command in commands for each in _leaves(command)]
    return {f"/{each.qualified_name}": frozenset(option.name for option in each.parameters) for each in walked}


def _leaves(command: app_commands.Command[Any, ..., Any] | app_commands.Group) -> list[Any]:
    if isinstance(command, app_commands.Group):
        return [leaf for each in command.commands for leaf in _leaves(each)]
    return [command]


def command_line(command: Any, name: str = "weekbot") -> dict[str, Options]:
    """Return every command's full name with its arguments, and its options."""
    if inner := getattr(command, "commands", None):
        parts = [command_line(each, f"{name} {part}") for part, each in inner.items()]
        return {full: options for part in parts for full, options in part.items()}
    arguments = [each.name.upper() for each in command.params if each.param_type_name == "argument"]
    options = [option for each in command.params for option in (*each.opts, *each.secondary_opts)]
    return {" ".join([name, *arguments]): frozenset(option for option in options if option.startswith("--"))}


def test_exactly_the_existing_slash_commands_and_options_are_documented() -> None:
    assert documented("moderators.md", "/weekly") | documented("members.md", "/") == slash_commands()


def test_every_option_of_a_subscription_is_described() -> None:
    described = {name for first, *_ in rows("moderators.md") for name in re.findall(r"`(\w+)`", first)}
    assert described == slash_commands()["/weekly subscribe"]


def test_exactly_the_existing_shell_commands_are_documented() -> None:
    assert documented("command-line.md", "weekbot") == command_line(typer.main.get_command(cli))


def test_exactly_the_existing_settings_are_documented() -> None:
    named = [name for first, *_ in rows("operating.md") for name in re.findall(rf"`({PREFIX}\w+)`", first)]
    assert sorted(named) == sorted(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_settings_in_documents_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    slashes, line = slash_commands(), command_line(typer.main.get_command(cli))
    groups = "|".join({name.split()[0] for name in slashes})
    blocks = "\n".join(re.findall(r"```.*?```", text, re.DOTALL))
    typed = re.findall(rf"`((?:{groups}|weekbot\s[a-z])[^`]*)`", text) + re.findall(
        r"^weekbot .*", blocks, re.MULTILINE
    )
    settings = set(re.findall(rf"\b{PREFIX}(?!TEST_)(\w*[A-Z])\b", text))
    known = _patterns([*slashes, *line])
    assert [each for each in typed if not re.match("|".join(known), " ".join(each.split()))] == []
    assert settings - {name.upper() for name in Settings.model_fields} == set()


def _patterns(names: Iterable[str]) -> list[str]:
    """Return patterns for the commands without their arguments, and for the groups alone."""
    commands = {re.sub(" [A-Z_]+", "", name) for name in names}
    alone = {rf"{re.escape(name.rpartition(' ')[0])}$" for name in commands if " " in name}
    return [rf"{re.escape(name)}(?![a-z-])" for name in commands] + sorted(alone)


def test_documented_log_lines_exist() -> None:
    table = (ROOT / "docs" / "operating.md").read_text("utf-8").partition("| a line that begins with |")[2]
    lines = [row.split("|")[1] for row in table.partition("\n\n")[0].splitlines()[2:]]
    parts = [part.strip(" ;:()") for line in lines for text in re.findall("`(.+?)`", line) for part in text.split("…")]
    modules = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src" / "weekbot").rglob("*.py")]
    texts = [node.value for module in modules for node in ast.walk(module) if isinstance(node, ast.Constant)]
    logged = "\n".join(text for text in texts if isinstance(text, str))
    assert [part for part in parts if part not in logged] == []


def test_the_example_names_exactly_the_existing_settings() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(rf"^#? ?({PREFIX}\w+)=", example, re.MULTILINE))
    assert named == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_the_content_guide_shows_every_fact_and_section() -> None:
    guide = (ROOT / "content" / "README.md").read_text("utf-8")
    facts = [f"{name}:" for model in (ConceptFacts, FrameworkFacts) for name in model.model_fields]
    headings = [str(field.title) for body in (ConceptBody, FrameworkBody) for field in body.model_fields.values()]
    assert [name for name in [*facts, *headings] if name not in guide] == []


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8")):
            if "…" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def _anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the document's headings."""
    headings = re.findall("^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_heading_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for file, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text("utf-8")):
            target = document.parent / file if file else document
            assert anchor in _anchors(target), f"{document.name} links to {file}#{anchor}"


def test_the_privacy_policy_lists_all_data_stored_about_a_member() -> None:
    policy = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    phrases = {
        "member_id": "your Discord user id",
        "topic": "the topic",
        "finished_at": "when you finished it",
        "finished_week": "the week in which you finished it",
        "quiz_at": "when you first answered its quiz",
        "quiz_right": "whether the answer was right",
    }
    assert set(phrases) == set(progress.c.keys())
    assert [phrase for phrase in phrases.values() if phrase not in policy] == []
    columns = [column for table in metadata.tables.values() for column in table.columns]
    assert [column for column in columns if re.search("member|user|author", column.name)] == [progress.c.member_id]


# The operators' steps


def shell_blocks(text: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]


def operators_blocks() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return shell_blocks(text.partition("\n## For operators\n")[2].partition("\n## ")[0])


def test_the_readmes_container_uses_the_env_file() -> None:
    [block] = [block for block in operators_blocks() if "docker" in block]
    build, run, logs = map(shlex.split, block.splitlines())
    [volume] = re.findall(r"^VOLUME (\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert build == ["docker", "build", "-t", "weekbot", "."]
    assert run[run.index("--env-file") + 1] == ".env"
    assert run[run.index("-v") + 1] == f"weekbot:{volume}"
    assert run[-1] == build[3]
    assert logs[-1] == run[run.index("--name") + 1]


@pytest.mark.parametrize("path", DOCUMENTS[:-1], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_installed_outside_a_virtual_environment(path: Path) -> None:
    """Debian's Python, for example, refuses that."""
    for block in shell_blocks(path.read_text("utf-8")):
        before = ""
        for line in block.splitlines():
            assert not re.match(r"(sudo )?pip3? ", line) or "/bin/activate" in before, line
            before += line


@pytest.mark.long
async def test_the_readmes_steps_for_python_work(tmp_path: Path) -> None:
    """The folder has the files that the package is built from; other packages are from the package index."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("src", "content"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    [block] = [block for block in operators_blocks() if "venv" in block]
    async with DiscordServer() as server:
        server.changes.timeout = 240
        example = (ROOT / ".env.example").read_text("utf-8")
        assert "\nWEEKBOT_DISCORD_TOKEN=\n" in example
        env_file = example.replace("\nWEEKBOT_DISCORD_TOKEN=\n", f'\nWEEKBOT_DISCORD_TOKEN="{server.token}"\n')
        addresses = f"WEEKBOT_DISCORD_API_URL={server.api_url}\nWEEKBOT_DISCORD_GATEWAY_URL={server.gateway_url}\n"
        (tmp_path / ".env").write_text(env_file + addresses)
        shell = await asyncio.create_subprocess_exec(
            "sh",
            "-e",
            "-c",
            block,
            cwd=tmp_path,
            env=_clean_environment(),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        ended = asyncio.create_task(shell.communicate())
        ready = asyncio.create_task(server.ready())
        await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            os.killpg(shell.pid, signal.SIGTERM)
        errors = (await ended)[1].decode()
        connected = ready.done()
        await cancel_and_wait(ready)
    if "No matching distribution found" in errors:
        pytest.skip("needs the package index")
    assert connected, errors
    assert (tmp_path / "weekbot.db").is_file()


def _clean_environment() -> dict[str, str]:
    """Return the environment without this test's own settings."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("WEEKBOT_", "VIRTUAL_ENV", "PYTHON"))
    }
