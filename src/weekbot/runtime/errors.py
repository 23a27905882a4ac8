"""The one base class of everything that a person can cause and put right."""

import traceback
from pathlib import Path


class WeekbotError(Exception):
    """A mistake with one clear sentence that says what to do instead; a subclass's docstring is its sentence.

    The command line prints the sentence and exits with 1; in Discord it is a private answer, in the member's language,
    which is why the `values` that stand in it in braces are kept apart.
    """

    def __init__(self, sentence: str | None = None, **values: object) -> None:
        self.sentence = sentence or self.__doc__ or ""
        self.values = values
        super().__init__(self.sentence.format_map(_plain(values)) if values else self.sentence)


def describe(error: BaseException) -> str:
    """What an error says, or what it is called where it says nothing."""
    return str(error).strip() or type(error).__name__


def raised_at(error: BaseException) -> str:
    """The file and line that raised it, for a log in which a traceback would be too much."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in values.items()}
