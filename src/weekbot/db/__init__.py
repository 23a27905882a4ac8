"""Database connections, backends, tables, migrations and errors."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class _Unused(ModuleType):
    """Stands in for a module of which nothing is used: each of its names is None."""

    def __getattr__(self, _: str) -> None:
        return None


@contextmanager
def _import_skipped(*names: str) -> Iterator[None]:
    """Skip the import of the modules by others in this block, unless they already are imported."""
    skipped = {name: _Unused(name) for name in names if name not in sys.modules}
    sys.modules.update(skipped)
    try:
        yield
    finally:
        for name in skipped:
            del sys.modules[name]


# They import SQLAlchemy's ORM, which weekbot doesn't use: 6 MB, and a twentieth of a start's CPU.
with _import_skipped("sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.session"):
    import sqlalchemy.ext.asyncio as _  # noqa: F401
