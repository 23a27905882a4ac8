"""A script that compiles an example and prints a line for each of its imports that fails, without running it."""

import ast
import importlib
import sys
from pathlib import Path


def main(path: str) -> None:
    source = Path(path).read_text("utf-8")
    compile(source, path, "exec")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _try(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                _try(node.module, alias.name)


def _try(module: str, name: str | None = None) -> None:
    try:
        imported = importlib.import_module(module)
        if name and not hasattr(imported, name):
            importlib.import_module(f"{module}.{name}")
    except Exception as error:
        print(f"{module}{'.' + name if name else ''}: {type(error).__name__}: {error}")  # noqa: T201 - the caller reads it


if __name__ == "__main__":
    main(sys.argv[1])
