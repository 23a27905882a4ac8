"""The base class of errors that a person can cause and fix, and descriptions of errors for logs."""

import traceback
from pathlib import Path


class WeekbotError(Exception):
    """An error that a person can fix; a subclass's docstring is its default sentence.

    The command line prints the sentence and exits with 1. In Discord it is translated, then filled in with `values`.
    """

    def __init__(self, sentence: str | None = None, **values: object) -> None:
        self.sentence = sentence or self.__doc__ or ""
        self.values = values
        text = {name: ", ".join(value) if isinstance(value, list) else value for name, value in values.items()}
        super().__init__(self.sentence.format_map(text) if values else self.sentence)


def describe(error: BaseException) -> str:
    """Return the error's message, or its class name if it has none."""
    return str(error).strip() or type(error).__name__


def raised_at(error: BaseException) -> str:
    """Return the file and line that raised the error, for logs that need no traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
