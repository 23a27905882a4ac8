"""Logging: for people on a console, or as JSON for machines."""

import logging

from pythonjsonlogger.json import JsonFormatter

_FORMATTERS: dict[str, logging.Formatter] = {
    "console": logging.Formatter("{asctime} {levelname:7} {name}: {message}", style="{"),
    "json": JsonFormatter("{asctime}{levelname}{name}{message}", style="{"),
}
_TALKATIVE = ("alembic", "apscheduler", "watchfiles", "aiosqlite")


def configure(level: str, form: str) -> None:
    """Send every logger's records to stderr in the form `console` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[form])
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
