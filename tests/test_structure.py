"""The rules for imports: the packages and the libraries that each package may import."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "weekbot"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")

LEAVES = {"runtime"}
TEXTS = {"i18n", "content", *LEAVES}
DOMAIN = {"domain", *TEXTS}
DATABASE = {"db", *LEAVES}
STORE = {"store", "db", *DOMAIN}
DELIVERY = {"delivery", *STORE}
DISCORD = {"discord_io", *DELIVERY}
BOT = {"bot", *DISCORD}
OPERATIONS = {"ops", "settings", *BOT}
APP = {"app", "cluster", *OPERATIONS}
WIRED = {"scheduler", *APP}

MAY_IMPORT = {
    "runtime": LEAVES,
    "settings": {"settings", *LEAVES},
    "i18n": {"i18n", *LEAVES},
    "content": TEXTS,
    "domain": DOMAIN,
    "examples": {"examples", "content", *LEAVES},
    "db": DATABASE,
    "cluster": {"cluster", *DATABASE},
    "transfer": {"transfer", "cluster", *DATABASE},
    "store": STORE,
    "delivery": DELIVERY,
    "discord_io": DISCORD,
    "bot": BOT,
    "ops": OPERATIONS,
    "app": APP,
    "scheduler": WIRED,
    "run": {"run", *WIRED},
    "republish": {"republish", *WIRED},
    "rehearse": {"rehearse", *WIRED},
    "demo": {"demo", *WIRED},
    "cli": {"cli", "run", "republish", "rehearse", "demo", "transfer", "examples", *WIRED},
}
"""Each package, and those that it may import. Readers of the single-process bot never have to open `cluster`."""

IMPORTED_BY = {
    "discord": {"bot", "discord_io", "ops/doctor", "rehearse", "demo"},
    "sqlalchemy": {"db", "store", "cluster", "transfer"},
    "alembic": {"db"},
    "simcord": {"demo"},
    "prometheus_client": {"ops"},
    "filelock": {"cluster"},
    "structlog": {"runtime/log.py"},
    "typer": {"cli"},
}
"""Each library, and the only places that may import it."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(name: str) -> str:
    """Return the package; `setting_sources` belongs to the settings, and `__main__` to the CLI."""
    return {"setting_sources": "settings", "__main__": "cli"}.get(name, name)


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_follow_the_layers(path: Path) -> None:
    imported = {package(name.split(".")[1]) for name in imports(path) if name.startswith("weekbot.")}
    own = package(relative(path).split("/")[0].removesuffix(".py"))
    assert imported - {"__version__"} <= MAY_IMPORT[own]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_each_library_is_imported_only_by_its_packages(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)} & set(IMPORTED_BY)
    assert not [each for each in used if not any(relative(path).startswith(place) for place in IMPORTED_BY[each])]


def test_the_rules_cover_exactly_the_existing_packages() -> None:
    places = {place for places in IMPORTED_BY.values() for place in places} | set(MAY_IMPORT)
    assert all((SOURCE / place).exists() or (SOURCE / f"{place}.py").exists() for place in places)
    assert {package(relative(path).split("/")[0].removesuffix(".py")) for path in MODULES} == set(MAY_IMPORT)


def test_no_package_has_more_than_a_fifth_of_the_source() -> None:
    lines = dict.fromkeys(MAY_IMPORT, 0)
    for path in MODULES:
        lines[package(relative(path).split("/")[0].removesuffix(".py"))] += len(path.read_text("utf-8").splitlines())
    assert max(lines.values()) <= sum(lines.values()) / 5


def test_there_are_no_circular_imports() -> None:
    """Imports inside functions count, too: they hide a cycle, but don't remove it."""
    names = {
        f"weekbot.{relative(path).removesuffix('.py').replace('/', '.')}".removesuffix(".__init__"): path
        for path in MODULES
    }
    graph = {
        name: {found for found in imports(path) if found in names and found != name} for name, path in names.items()
    }
    while free := [name for name, needed in graph.items() if not needed & set(graph)]:
        for name in free:
            del graph[name]
    assert not graph


def test_no_two_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in classes.items() if count > 1] == []
