"""Logging: structured, as text for people or as JSON for machines, with secrets redacted.

Code logs through the standard library. `bind_log_context` adds fields to all log lines of a task, also to discord.py's.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from weekbot.runtime.printable import printable_lines


@contextmanager
def _import_blocked(module: str) -> Iterator[None]:
    """Keep the module from being imported, unless it already is."""
    blocked = sys.modules.setdefault(module, None) is None  # type: ignore[arg-type]
    try:
        yield
    finally:
        if blocked:
            del sys.modules[module]


with _import_blocked("rich"):  # structlog imports it if it is installed: 4 MB that no bot needs
    from structlog.contextvars import bind_contextvars, merge_contextvars
    from structlog.dev import ConsoleRenderer, plain_traceback
    from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, format_exc_info
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
    from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["console", "json"]

REDACTED = "***"
Fields = Mapping[str, str]
_NO_FIELDS: Fields = {}
_SECRETS = (
    # With an interaction's token, anyone can answer in the bot's name for 15 minutes.
    r"/(?:interactions|webhooks)/\d+/(?P<address>[^/?\s\"'\\]+)",
    r"\btoken\\*[\"']?[:=]\s*\\*[\"']?(?P<field>[^\s\"'\\,}]+)",
    r"\b(?:Bot|Bearer) (?P<header>[\w.-]{20,})",
    r"\b(?P<token>[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,})",
    r"://[^\s:/@]*:(?P<password>[^\s/@]+)@",
)
_LIBRARY_LEVELS = {
    # discord.py logs whole events and responses, which contain members' names and what they typed.
    "discord.gateway": "WARNING",  # weekbot logs lost connections itself
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
_RENDERERS: Mapping[LogFormat, Callable[[bool], list[Processor]]] = {
    "console": lambda colours: [ConsoleRenderer(colors=colours, exception_formatter=plain_traceback)],
    "json": lambda _: [EventRenamer("message"), JSONRenderer(default=str, ensure_ascii=False)],
}


def configure(level: str, form: LogFormat, secrets: Collection[str] = (), fields: Fields = _NO_FIELDS) -> None:
    """Log to stderr, Python's warnings included, without secrets; in JSON, each line has the `fields`."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form, secrets, fields, colours=sys.stderr.isatty()))
    handler.setLevel(level)  # a logger with its own level ignores the root's
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    quiet_libraries()


def quiet_libraries() -> None:
    for name, level in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(level)


def formatter(
    form: LogFormat, secrets: Collection[str] = (), fields: Fields = _NO_FIELDS, *, colours: bool = False
) -> logging.Formatter:
    """Return a formatter that writes each record with its context, on one line in JSON."""

    def complete(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Add the fields, and keep untrusted text, from content files or Discord, from controlling the terminal."""
        event = {**event, **(fields if form == "json" else {})}
        return {name: printable_lines(value) if isinstance(value, str) else value for name, value in event.items()}

    before = [ProcessorFormatter.remove_processors_meta, format_exc_info, complete]
    return _RedactingFormatter(secrets, foreign_pre_chain=_PRE_CHAIN, processors=[*before, *_RENDERERS[form](colours)])


def bind_log_context(fields: Mapping[str, object]) -> None:
    """Add the fields to all further log lines of this task and of those that it starts."""
    bind_contextvars(**fields)


class Redactor:
    """Replaces secrets in text: the given ones, and those that context or form gives away."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        forms = {form for each in secrets if each for form in (each, json.dumps(each, ensure_ascii=False)[1:-1])}
        literal = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        self._pattern = re.compile("|".join([f"(?P<given>{literal})"] * bool(literal) + list(_SECRETS)))

    def redact(self, text: str) -> str:
        return self._pattern.sub(_redacted, text)


class _RedactingFormatter(ProcessorFormatter):
    def __init__(self, secrets: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self._redactor = Redactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact(super().format(record))


def _redacted(match: re.Match[str]) -> str:
    start, end = (index - match.start() for index in match.span(match.lastgroup or 0))
    return f"{match[0][:start]}{REDACTED}{match[0][end:]}"
