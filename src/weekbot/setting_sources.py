"""Reads settings from their sources: the environment, `.env`, secret files, and the defaults of an image.

Blanks, line ends and quotes around a value, which editors and `docker run --env-file` leave there, are removed. No
message here contains a value.
"""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Original, parse_stream

logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it warns about lines that `doubts` reports

PREFIX = "WEEKBOT_"
DEFAULT_PREFIX = f"{PREFIX}DEFAULT_"
"""The prefix of an image's defaults, which all other sources override."""
ENV_FILE = Path(".env")
SECRETS = Path("/run/secrets")
ENVIRONMENT, IMAGE = "the environment", "the image"

_AROUND = " \t\r\n\f\v\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
_QUOTES = ('"', "'")
_NOT_MEANT = re.compile(rf"{PREFIX}TEST_|.*_SERVICE_(HOST|PORT)(_|$)|.*_PORT_\d+_(TCP|UDP|SCTP)(_|$)")
"""The tests' variables, and those that Kubernetes adds for services whose names begin with "weekbot"."""
_ADDRESS_OF_SERVICE = re.compile(r"(tcp|udp|sctp)://")
_LIKENESS = 0.5  # the least similarity of a suggested name


@dataclass(frozen=True)
class Source:
    """Settings from one place: nonempty values by name, and names that aren't settings."""

    place: str
    values: Mapping[str, str]
    unknown: Collection[str] = ()


@dataclass(frozen=True)
class Given:
    """All sources, in order of precedence.

    `unreadable` maps the name of a setting, a file or a folder to a sentence; `ignored` has numbers of `.env` lines.
    """

    sources: Sequence[Source]
    unreadable: Mapping[str, str]
    ignored: Sequence[int] = ()

    @property
    def values(self) -> dict[str, str]:
        return {name: value for source in reversed(self.sources) for name, value in source.values.items()}


class _UnreadableError(Exception):
    """Says what is wrong with a file, and what to do."""


def read_sources(names: Collection[str]) -> Given:
    """Read the settings with these names, which are in upper case and have the prefix, from all sources."""
    unreadable: dict[str, str] = {}
    lines, ignored = _env_file(unreadable)
    outside = {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    defaults = {f"{PREFIX}{name[len(DEFAULT_PREFIX) :]}": outside.pop(name) for name in _starting(outside)}
    sources = [
        _source(ENVIRONMENT, outside, names),
        _source(str(ENV_FILE), lines, names),
        *(_secrets(folder, names, unreadable) for folder in _secret_folders()),
        _source(IMAGE, defaults, names),
    ]
    return Given(sources, unreadable, ignored)


def doubts(given: Given, names: Collection[str]) -> Iterator[str]:
    """A sentence for each line and name that isn't a setting, and for each setting with two different values."""
    for number in given.ignored:
        yield f"Line {number} of {ENV_FILE} can't be read and has no effect; write NAME=value, and close each quote."
    for source in given.sources:
        for name in sorted(source.unknown):
            yield f"{name} in {source.place} isn't a weekbot setting and has no effect; {_meant(name, names)}"
    chosen = [source for source in given.sources if source.place != IMAGE]
    for number, first in enumerate(chosen):
        for other in chosen[number + 1 :]:
            for name in sorted(first.values.keys() & other.values.keys()):
                if first.values[name] != other.values[name]:
                    places = f"{name} is set in {first.place} and in {other.place}, with different values"
                    yield f"{places}; the one in {first.place} is used."


def _starting(outside: Collection[str]) -> list[str]:
    return [name for name in outside if name.startswith(DEFAULT_PREFIX)]


def _source(place: str, given: Mapping[str, str], names: Collection[str]) -> Source:
    bare = {name: _bare(value) for name, value in given.items()}
    unknown = [name for name, value in bare.items() if name not in names and not _is_meant_otherwise(name, value)]
    return Source(place, {name: value for name, value in bare.items() if value and name in names}, unknown)


def _bare(value: str) -> str:
    inner = value.strip(_AROUND)
    if len(inner) > 1 and inner[0] in _QUOTES and inner[0] == inner[-1]:
        return inner[1:-1].strip(_AROUND)
    return inner


def _is_meant_otherwise(name: str, value: str) -> bool:
    return bool(_NOT_MEANT.match(name) or (name.endswith("_PORT") and _ADDRESS_OF_SERVICE.match(value)))


def _env_file(unreadable: dict[str, str]) -> tuple[dict[str, str], list[int]]:
    """The settings in `.env`, and the numbers of the lines that can't be parsed."""
    try:
        text = _text(ENV_FILE) if ENV_FILE.exists() else ""
    except _UnreadableError as error:
        unreadable[str(ENV_FILE)] = str(error)
        return {}, []
    ignored = [_line_of(binding.original) for binding in parse_stream(StringIO(text)) if binding.error]
    found = dotenv_values(stream=StringIO(text))
    return {name.upper(): value or "" for name, value in found.items() if name.upper().startswith(PREFIX)}, ignored


def _line_of(read: Original) -> int:
    """The number of the line itself: what the parser returns begins with the empty lines before it."""
    return read.line + read.string[: -len(read.string.lstrip())].count("\n")


def _secret_folders() -> list[Path]:
    """The folders that exist: systemd's for credentials, and Docker's for secrets."""
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [Path(systemd), SECRETS] if systemd else [SECRETS]
    return [folder for folder in folders if folder.is_dir()]


def _secrets(folder: Path, names: Collection[str], unreadable: dict[str, str]) -> Source:
    """Read the files in the folder whose names are settings."""
    found: dict[str, str] = {}
    for file in _files(folder, unreadable):
        name = file.name.upper()
        try:
            found[name] = _text(file) if name in names else ""
        except _UnreadableError as error:
            unreadable[name] = str(error)
    return _source(str(folder), found, names)


def _files(folder: Path, unreadable: dict[str, str]) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.name.upper().startswith(PREFIX))
    except OSError as error:
        unreadable[str(folder)] = f"{folder} cannot be read: {error.strerror}. Give weekbot's user read access."
        return []


def _text(file: Path) -> str:
    if file.is_dir():
        missing = "the file that should be mounted there doesn't exist on the host"
        raise _UnreadableError(f"{file} is a directory: {missing}. Create it, then recreate the container.")
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}"
        raise _UnreadableError(f"{reason}. Give weekbot's user read access.") from error
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"{file} is not valid UTF-8; save it as UTF-8.") from error


def _meant(name: str, names: Collection[str]) -> str:
    known = [each.removeprefix(PREFIX) for each in names]
    if nearest := get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=_LIKENESS):
        return f"did you mean {PREFIX}{nearest[0]}?"
    return "docs/operating.md lists all settings."
