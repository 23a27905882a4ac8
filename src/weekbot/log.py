"""Logging: for people on a console, or as JSON for machines."""

import logging

from pythonjsonlogger.json import JsonFormatter

_FORMATTERS: dict[str, logging.Formatter] = {
    "console": logging.Formatter("{asctime} {levelname:7} {name}: {message}", style="{"),
    "json": JsonFormatter("{asctime}{levelname}{name}{message}", style="{"),
}
# APScheduler warns when a tick finds the dispatcher still at work, which is as it should be.
_QUIETER = {
    "alembic": "WARNING",
    "markdown_it": "INFO",
    "apscheduler": "ERROR",
    "watchfiles": "WARNING",
    "aiosqlite": "WARNING",
}


def configure(level: str, form: str) -> None:
    """Send every logger's records to stderr in the form `console` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[form])
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(least)
