"""A file that is there as a whole or not at all, and that nobody else may read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weekbot.errors import WeekbotError


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """An empty file beside it to be filled, which takes its name when the block has ended well.

    Raises WeekbotError where the name is taken, unless that is to be replaced by `force`, or the file cannot be made.
    """
    if path.is_dir() or (path.exists() and not force):
        raise WeekbotError(f"{path} already exists; choose another name, or replace a file with --force.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.absolute().parent)  # 0600
        os.close(handle)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    part = Path(name)
    try:
        yield part
        _keep(part, path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _keep(part: Path, path: Path) -> None:
    """Also should the power be cut right after."""
    _sync(part)
    part.replace(path)
    _sync(part.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_be_written(path: Path, error: OSError) -> WeekbotError:
    return WeekbotError(f"{path} cannot be written: {error.strerror or error}.")
