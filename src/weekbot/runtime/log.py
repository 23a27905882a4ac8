"""Logging: structured, as text for people or as JSON for machines, with secrets redacted.

Code logs through the standard library. `bind_log_context` adds fields to all log lines of a task, also to discord.py's.
"""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
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
REPETITION_SECONDS = 60.0
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


def configure(level: str, form: LogFormat, secrets: Collection[str] = (), fields: Mapping[str, str] = {}) -> None:
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
    form: LogFormat, secrets: Collection[str] = (), fields: Mapping[str, str] = {}, *, colours: bool = False
) -> logging.Formatter:
    """Return a formatter that writes each record with its context, on one line in JSON."""

    def complete(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Add the fields, and keep untrusted text, from content files or Discord, from controlling the terminal."""
        event = {**event, **(fields if form == "json" else {})}
        return {name: printable_lines(value) if isinstance(value, str) else value for name, value in event.items()}

    context = [merge_contextvars, ExtraAdder(), add_logger_name, add_log_level, TimeStamper(fmt="iso", utc=True)]
    processors: list[Processor] = [ProcessorFormatter.remove_processors_meta, format_exc_info, complete]
    if form == "console":
        processors += [ConsoleRenderer(colors=colours, exception_formatter=plain_traceback)]
    else:
        processors += [EventRenamer("message"), JSONRenderer(default=str, ensure_ascii=False)]
    return _RedactingFormatter(secrets, foreign_pre_chain=context, processors=processors)


def bind_log_context(fields: Mapping[str, object]) -> None:
    """Add the fields to all further log lines of this task and of those that it starts."""
    bind_contextvars(**fields)


class RepeatedWarnings:
    """Logs the first warning for a reason, then once a minute the number of further `events` (a phrase), if any."""

    def __init__(self, log: logging.Logger, events: str) -> None:
        self._log = log
        self._events = events
        self._suppressed: dict[str, int] = {}

    def warn(self, reason: str, message: str, *values: object) -> None:
        """Log or count the message. Needs a running event loop."""
        if reason in self._suppressed:
            self._suppressed[reason] += 1
            self._log.debug(message, *values)
        else:
            self._log.warning(message, *values)
            self._start(reason)

    def _start(self, reason: str) -> None:
        self._suppressed[reason] = 0
        # In a new context, because the log fields of the first message don't apply to the others.
        asyncio.get_running_loop().call_later(REPETITION_SECONDS, self._summarize, reason, context=Context())

    def _summarize(self, reason: str) -> None:
        if suppressed := self._suppressed.pop(reason):
            self._log.warning("in the last minute %d more %s: %s", suppressed, self._events, reason)
            self._start(reason)


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
