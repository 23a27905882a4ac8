"""Reads settings from the environment, `.env`, secret files, and an image's defaults."""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from itertools import combinations
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it warns about lines that `source_warnings` reports

PREFIX = "WEEKBOT_"
DEFAULT_PREFIX = f"{PREFIX}DEFAULT_"  # of an image's defaults, which all other sources override
ENV_FILE = Path(".env")
SECRETS = Path("/run/secrets")
ENVIRONMENT, IMAGE = "the environment", "the image"

_STRIPPED = " \t\r\n\f\v\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
_QUOTES = ('"', "'")
# The tests' variables, and those that Kubernetes adds for services whose names begin with "weekbot".
_FOREIGN = re.compile(rf"{PREFIX}TEST_|.*_SERVICE_(HOST|PORT)(_|$)|.*_PORT_\d+_(TCP|UDP|SCTP)(_|$)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_MIN_SIMILARITY = 0.5  # of a suggested name


@dataclass(frozen=True)
class SettingSource:
    place: str
    values: Mapping[str, str]  # nonempty
    unknown: Collection[str] = ()  # names that aren't settings


@dataclass(frozen=True)
class SettingSources:
    sources: Sequence[SettingSource]  # in order of precedence
    unreadable: Mapping[str, str]  # sentences by the name of a setting, file or folder
    ignored: Sequence[int] = ()  # the numbers of invalid lines in `.env`

    @property
    def values(self) -> dict[str, str]:
        return {name: value for source in reversed(self.sources) for name, value in source.values.items()}


def read_sources(names: Collection[str]) -> SettingSources:
    """Read the settings with these names, such as `WEEKBOT_LOG_LEVEL`, from all sources."""
    unreadable: dict[str, str] = {}
    lines, ignored = _env_file(unreadable)
    outside = {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    default_names = [name for name in outside if name.startswith(DEFAULT_PREFIX)]
    defaults = {name.replace(DEFAULT_PREFIX, PREFIX, 1): outside.pop(name) for name in default_names}
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [Path(systemd), SECRETS] if systemd else [SECRETS]
    sources = [_source(ENVIRONMENT, outside, names), _source(str(ENV_FILE), lines, names)]
    sources += [_secrets(folder, names, unreadable) for folder in folders if folder.is_dir()]
    return SettingSources([*sources, _source(IMAGE, defaults, names)], unreadable, ignored)


def source_warnings(sources: SettingSources, names: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each line or name that isn't a setting, and for each setting with two different values."""
    for number in sources.ignored:
        yield f"Line {number} of {ENV_FILE} can't be read and has no effect; write NAME=value, and close each quote."
    for source in sources.sources:
        for name in sorted(source.unknown):
            yield f"{name} in {source.place} isn't a weekbot setting and has no effect; {_suggestion(name, names)}"
    chosen = [source for source in sources.sources if source.place != IMAGE]
    for first, other in combinations(chosen, 2):
        for name in sorted(first.values.keys() & other.values.keys()):
            if first.values[name] != other.values[name]:
                places = f"{name} is set in {first.place} and in {other.place}, with different values"
                yield f"{places}; the one in {first.place} is used."


def _source(place: str, values: Mapping[str, str], names: Collection[str]) -> SettingSource:
    bare = {name: _stripped(value) for name, value in values.items()}
    unknown = [name for name, value in bare.items() if name not in names and not _is_foreign(name, value)]
    return SettingSource(place, {name: value for name, value in bare.items() if value and name in names}, unknown)


def _stripped(value: str) -> str:
    """Remove spaces, line ends and quotes, which editors and `docker run --env-file` leave there."""
    inner = value.strip(_STRIPPED)
    if len(inner) > 1 and inner[0] in _QUOTES and inner[0] == inner[-1]:
        return inner[1:-1].strip(_STRIPPED)
    return inner


def _is_foreign(name: str, value: str) -> bool:
    return bool(_FOREIGN.match(name) or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(value)))


def _env_file(unreadable: dict[str, str]) -> tuple[dict[str, str], list[int]]:
    text = _text(ENV_FILE, str(ENV_FILE), unreadable) if ENV_FILE.exists() else ""
    errors = [binding.original for binding in parse_stream(StringIO(text)) if binding.error]
    # The parser's text of a line begins with the empty lines before it.
    ignored = [each.line + each.string[: -len(each.string.lstrip())].count("\n") for each in errors]
    found = dotenv_values(stream=StringIO(text))
    return {name.upper(): value or "" for name, value in found.items() if name.upper().startswith(PREFIX)}, ignored


def _secrets(folder: Path, names: Collection[str], unreadable: dict[str, str]) -> SettingSource:
    try:
        files = sorted(file for file in folder.iterdir() if file.name.upper().startswith(PREFIX))
    except OSError as error:
        files, unreadable[str(folder)] = [], _no_access(folder, error)
    secrets = ((file, file.name.upper()) for file in files)
    found = {name: _text(file, name, unreadable) if name in names else "" for file, name in secrets}
    return _source(str(folder), found, names)


def _text(file: Path, key: str, unreadable: dict[str, str]) -> str:
    """Return the file's text, or none of it and the reason with the remedy in `unreadable`."""
    if file.is_dir():
        missing = "the file that should be mounted there doesn't exist on the host"
        unreadable[key] = f"{file} is a directory: {missing}. Create it, then recreate the container."
        return ""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        unreadable[key] = _no_access(file, error)
    except UnicodeDecodeError:
        unreadable[key] = f"{file} is not valid UTF-8; save it as UTF-8."
    return ""


def _no_access(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror}. Give weekbot's user read access."


def _suggestion(name: str, names: Collection[str]) -> str:
    known = [each.removeprefix(PREFIX) for each in names]
    if nearest := get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=_MIN_SIMILARITY):
        return f"did you mean {PREFIX}{nearest[0]}?"
    return "docs/operating.md lists all settings."
