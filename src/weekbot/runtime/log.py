"""Logging: structured, for people on a console or as JSON for machines; secrets are blotted out of either.

Code logs by the standard library, as its libraries do. What a line is about, such as the ids of a delivery, is bound
to its task once, by `about`, and stands in every line of it: also in discord.py's.
"""

import json
import logging
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from weekbot.runtime.printable import printable_lines


@contextmanager
def _import_blocked(module: str) -> Iterator[None]:
    """Where it was not imported yet, it cannot be meanwhile."""
    hidden = sys.modules.setdefault(module, None) is None  # type: ignore[arg-type]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


with _import_blocked("rich"):  # structlog loads it where it is installed: four megabytes that no bot needs
    from structlog.contextvars import bind_contextvars, merge_contextvars
    from structlog.dev import ConsoleRenderer, plain_traceback
    from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, format_exc_info
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
    from structlog.typing import EventDict, Processor, WrappedLogger


LogFormat = Literal["console", "json"]

REDACTED = "***"
_NOTHING: Mapping[str, str] = {}
# Whoever has an interaction's token may answer in the bot's name for fifteen minutes.
_SECRETS = (
    r"/(?:interactions|webhooks)/\d+/(?P<address>[^/?\s\"'\\]+)",
    r"\btoken\\*[\"']?[:=]\s*\\*[\"']?(?P<field>[^\s\"'\\,}]+)",
    r"\b(?:Bot|Bearer) (?P<header>[\w.-]{20,})",
    r"\b(?P<token>[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,})",
    r"://[^\s:/@]*:(?P<password>[^\s/@]+)@",
)
_LIBRARY_LEVELS = {
    # These log whole events and responses, which contain members' names and what they typed.
    "discord.gateway": "WARNING",  # and weekbot logs each lost connection itself
    "discord.http": "INFO",
    "discord.webhook": "INFO",
    "alembic": "WARNING",
    "markdown_it": "INFO",
    "watchfiles": "WARNING",
    "aiosqlite": "WARNING",
}
_PRE_CHAIN: tuple[Processor, ...] = (
    merge_contextvars,
    ExtraAdder(),
    add_logger_name,
    add_log_level,
    TimeStamper(fmt="iso", utc=True),
)


def configure(
    level: str, form: LogFormat, secrets: Collection[str] = (), everywhere: Mapping[str, str] = _NOTHING
) -> None:
    """Send every logger's records to stderr, without these secrets and anything that looks like one.

    Python's warnings are logged, too. In JSON logs each line has the fields in `everywhere`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form, secrets, everywhere, colours=sys.stderr.isatty()))
    handler.setLevel(level)  # a logger with a level of its own doesn't ask the root's
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep libraries from logging noise, or members' names."""
    for name, least in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(least)


def formatter(
    form: LogFormat, secrets: Collection[str] = (), everywhere: Mapping[str, str] = _NOTHING, *, colours: bool = False
) -> logging.Formatter:
    """A line a record, with what it is about."""

    def with_more(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
        return {**fields, **everywhere} if form == "json" else fields

    first: list[Processor] = [ProcessorFormatter.remove_processors_meta, format_exc_info, with_more, _printable]
    processors = [*first, *_RENDERERS[form](colours)]
    return _RedactingFormatter(secrets, foreign_pre_chain=_PRE_CHAIN, processors=processors)


def bind_log_context(ids: Mapping[str, object]) -> None:
    """What is logged from now on, in this task and those that it starts, is about that."""
    bind_contextvars(**ids)


def _printable(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """What others wrote, such as a content file or Discord, controls no terminal that shows the log."""
    return {name: printable_lines(value) if isinstance(value, str) else value for name, value in fields.items()}


def _console(colours: bool) -> list[Processor]:
    return [ConsoleRenderer(colors=colours, exception_formatter=plain_traceback)]


def _json(_: bool) -> list[Processor]:
    return [EventRenamer("message"), JSONRenderer(default=str, ensure_ascii=False)]


_RENDERERS = {"console": _console, "json": _json}


class Redactor:
    """Blots secrets out of a text: those that it is given, and what is one by where it stands or by its looks."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        forms = {form for each in secrets if each for form in (each, json.dumps(each, ensure_ascii=False)[1:-1])}
        literal = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        self._pattern = re.compile("|".join([f"(?P<given>{literal})"] * bool(literal) + list(_SECRETS)))

    def redact(self, text: str) -> str:
        return self._pattern.sub(_redacted, text)


class _RedactingFormatter(ProcessorFormatter):
    def __init__(self, secrets: Collection[str], **more: Any) -> None:
        super().__init__(**more)
        self._redactor = Redactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact(super().format(record))


def _redacted(match: re.Match[str]) -> str:
    name = match.lastgroup or 0
    start, end = (place - match.start() for place in match.span(name))
    return f"{match[0][:start]}{REDACTED}{match[0][end:]}"
