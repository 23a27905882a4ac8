"""Logs the error that ends a command."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import LogFormat

log = logging.getLogger(__name__)


@contextmanager
def log_final_error(form: LogFormat) -> Iterator[None]:
    """Log the error that ends the block, and exit with 1; unless logs are JSON, raise a WeekbotError instead."""
    try:
        yield
        return
    except typer.Exit:
        raise
    except WeekbotError as error:
        if form != "json":
            raise
        log.error("%s", error)
    except Exception:
        log.exception("unexpected error; weekbot exits")
    raise typer.Exit(1)
