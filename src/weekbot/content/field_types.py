"""Types of the fields of topics and tracks, whose limits keep each card within Discord's 4,000 characters."""

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Annotated

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from weekbot.content.characters import character_name, mixed_words
from weekbot.content.inline_markdown import inline_problems
from weekbot.content.web_address import address_problem

DAYS = 7
ANSWERS = 4
EXAMPLE_LINES = 25
OUTPUT_LINES = 12
SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SLUG_LENGTH = 40
STANDALONE_MESSAGE = "standalone_message"  # the type of errors whose message doesn't continue the field's name
_ADDRESS_IN_COMMAND = re.compile(r"https?://[^\s\"';|&]+")


def is_slug(text: str) -> bool:
    return bool(re.fullmatch(SLUG_PATTERN, text)) and len(text) <= SLUG_LENGTH


def _check(problem_of: Callable[[str], str | None], error_type: str = "invalid_text") -> AfterValidator:
    """Return a validator that rejects a text with the message that `problem_of` returns."""

    def check(text: str) -> str:
        if problem := problem_of(text):
            raise PydanticCustomError(error_type, "{problem}", {"problem": problem})
        return text

    return AfterValidator(check)


def _rule(accepts: Callable[[str], object], message: str) -> AfterValidator:
    """Return a validator that rejects a text for which `accepts` returns False or raises ValueError."""

    def problem(text: str) -> str | None:
        with suppress(ValueError):
            if accepts(text) is not False:
                return None
        return message

    return _check(problem)


def _max_lines(limit: int) -> AfterValidator:
    message = f"has {{}} lines, at most {limit} fit"
    return _check(lambda text: message.format(text.count("\n") + 1) if text.count("\n") >= limit else None)


def _mixed_word(text: str) -> str | None:
    return next((message for _, message in mixed_words(text)), None)


def _non_ascii(text: str) -> str | None:
    """A word of mixed scripts has its own message."""
    strange = next((character for character in text if not character.isascii()), None)
    return f"must be in ASCII, without {character_name(strange)}" if strange and not _mixed_word(text) else None


def _misleading_address(text: str) -> str | None:
    problems = ((address, address_problem(address)) for address in _ADDRESS_IN_COMMAND.findall(text))
    return next((f"the address {address} {problem}" for address, problem in problems if problem), None)


def _is_pinned(text: str) -> bool:
    return [pin.operator for pin in Requirement(text).specifier] == ["=="] and "*" not in text


def _names_file(command: str) -> bool:
    return bool(re.fullmatch(r"\w[\w.-]*\.[a-z]+", "".join(shlex.split(command)[-1:])))


def _check_date(value: object) -> object:
    # pydantic would read a bare number as seconds since 1970.
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise PydanticCustomError("iso_date", "must be a date such as 2026-11-23")
    return value


def _exactly(count: int) -> BeforeValidator:
    """Return a validator that counts all entries; pydantic counts only valid ones, and would report a mistake twice."""

    def check(entries: object) -> object:
        actual = len(entries) if isinstance(entries, list | tuple) else count
        if actual != count:
            bound = "at least {count} are needed" if actual < count else "at most {count} fit"
            raise PydanticCustomError("count", f"has {{actual}} entries, {bound}", {"actual": actual, "count": count})
        return entries

    return BeforeValidator(check)


def _text(limit: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=limit)


_MARKDOWN = _check(lambda text: next((each.message for each in inline_problems(text, {})), None), STANDALONE_MESSAGE)
_ONE_SCRIPT = _check(_mixed_word, STANDALONE_MESSAGE)
_ASCII = _check(_non_ascii)
_SAFE_ADDRESSES = _check(_misleading_address, STANDALONE_MESSAGE)
_SENTENCE = _rule(
    lambda text: text.endswith((".", "!", "?")) and "\n" not in text, "must be one sentence that ends with a full stop"
)
_QUESTION = _rule(lambda text: text.endswith("?"), "must be a question that ends with a question mark")
_TYPEABLE = _rule(lambda text: any(map(str.isalnum, text)), "needs a letter or a digit, or nobody can type it")
_ONE_LINE = _rule(lambda text: "\n" not in text and "`" not in text, "must be one line without backticks")
_PINNED = _rule(_is_pinned, "must be a requirement with one exact version, such as httpx==0.28.1")
_ENDS_WITH_FILE = _rule(_names_file, "must end with the example's file name, as in pytest test_prices.py")
_UNFENCED = _rule(lambda text: "```" not in text, "must not contain three backticks, which would end its code block")

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH)]
PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
CodeLanguage = Annotated[str, StringConstraints(pattern=r"^[a-z]*$", max_length=20)]
Url = Annotated[str, _text(200), _check(address_problem)]
Specifier = Annotated[str, _text(30), _rule(SpecifierSet, "must be a version range such as >=3.10"), _MARKDOWN]
Release = Annotated[str, _text(30), _rule(Version, "must be a version such as 3.1.2")]
Pin = Annotated[str, _text(80), _PINNED]
Command = Annotated[str, _text(60), _ONE_LINE, _ONE_SCRIPT, _ASCII, _SAFE_ADDRESSES, _ENDS_WITH_FILE]
Title = Annotated[str, _text(60), _TYPEABLE, _ONE_SCRIPT, _MARKDOWN]
Alias = Annotated[str, _text(40), _TYPEABLE, _ONE_SCRIPT]
Tag = Annotated[str, _text(20), _ONE_SCRIPT]
Licence = Annotated[str, _text(40), _MARKDOWN]
Summary = Annotated[str, _text(160), _SENTENCE, _MARKDOWN]
Note = Annotated[str, _text(150), _SENTENCE, _MARKDOWN]
ReviewDate = Annotated[date, BeforeValidator(_check_date)]
Lead = Annotated[str, _text(800)]
Prose = Annotated[str, _text(600)]
Install = Annotated[str, _text(100), _ONE_LINE, _ASCII, _SAFE_ADDRESSES]
Example = Annotated[str, _text(800), _max_lines(EXAMPLE_LINES), _UNFENCED]
# Not stripped, because a table's first line may begin with spaces.
Output = Annotated[str, StringConstraints(min_length=1, max_length=300), _max_lines(OUTPUT_LINES), _UNFENCED]
Week = Annotated[tuple[Annotated[str, _text(140)], ...], _exactly(DAYS)]
Question = Annotated[str, _text(250), _QUESTION]
QuizQuestion = Annotated[str, _text(200), _QUESTION]
Answers = Annotated[tuple[Annotated[str, _text(80)], ...], _exactly(ANSWERS)]
Reason = Annotated[str, _text(300)]
