"""Writes a file atomically, readable only by its owner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weekbot.runtime.errors import WeekbotError


@contextmanager
def atomic_output(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield a temporary file that is renamed to `path` if the block succeeds.

    Raises WeekbotError if the path exists, unless `force` replaces a file, or if it can't be written.
    """
    if path.is_dir() or (path.exists() and not force):
        raise WeekbotError(f"{path} already exists; choose another name, or replace a file with --force.")
    import tempfile

    part = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.absolute().parent)  # 0600
        os.close(handle)
        part = Path(name)
        yield part
        _sync(part)  # so that a power failure can't lose the file
        part.replace(path)
        _sync(part.parent)
    except OSError as error:
        raise WeekbotError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        if part:
            part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
