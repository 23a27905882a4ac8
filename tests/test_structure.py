"""The rules of the layout: which package may know which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "weekbot"
MODULES = sorted(SOURCE.rglob("*.py"))

# Each package and those of weekbot's that it may import; what is not named here is for everyone.
MAY_IMPORT = {
    "content": {"content"},
    "store": {"store", "schedule"},
    "delivery": {"delivery", "store", "content", "schedule", "clock"},
    "examples": {"examples", "content"},
    "metrics": set(),
    "bot": {"bot", "delivery", "store", "content", "schedule", "clock", "edits", "progress"},
    "doctor": {"doctor", "bot", "delivery", "store", "content", "clock", "run", "settings"},
    "rehearse": {"rehearse", "bot", "delivery", "store", "content", "schedule", "clock", "run", "settings"},
    "edits": {"store", "content", "schedule"},
    "progress": {"store", "content", "schedule"},
    "schedule": set(),
    "clock": set(),
    "errors": set(),
    "garbage": set(),
    "language": set(),
    "waiting": set(),
    "settings": {"setting_sources"},
    "setting_sources": set(),
    "common_trouble": set(),
    "log": set(),
    "printable": set(),
    "loop": set(),
}
FOR_EVERYONE = {"common_trouble", "errors", "language", "log", "loop", "printable", "waiting"}

# Each library and the only places that may know it.
KNOWN_ONLY_TO = {
    "discord": {
        "bot",
        "delivery/sender.py",
        "delivery/discord_errors.py",
        "delivery/discord_history.py",
        "delivery/discord_mentions.py",
        "delivery/discord_places.py",
        "delivery/wire.py",
        "delivery/discord_threads.py",
        "doctor/account.py",
        "doctor/channels.py",
        "doctor/commands.py",
        "rehearse",
        "run.py",
        "demo",
    },
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "simcord": {"demo"},
    "prometheus_client": {"metrics.py", "health.py"},
    "filelock": {"store"},
    "structlog": {"log.py"},
    "typer": {"cli"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "weekbot")


def place(path: Path) -> str:
    """The package of weekbot's, or the module, that the file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_dependencies_run_one_way(path: Path) -> None:
    allowed = MAY_IMPORT.get(place(path))
    if allowed is None:
        return
    own = {name.split(".")[1] for name in imports(path) if name.startswith("weekbot.")}
    assert own <= allowed | FOR_EVERYONE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_library_is_known_where_it_belongs_only(path: Path) -> None:
    relative = path.relative_to(SOURCE).as_posix()
    used = {name.split(".")[0] for name in imports(path)} & set(KNOWN_ONLY_TO)
    strangers = [library for library in used if not any(relative.startswith(place) for place in KNOWN_ONLY_TO[library])]
    assert not strangers


def test_the_files_that_the_rules_name_are_there() -> None:
    for place in set(MAY_IMPORT) | {name for places in KNOWN_ONLY_TO.values() for name in places} - {"demo"}:
        assert (SOURCE / place).exists() or (SOURCE / f"{place}.py").exists()
