"""What a topic and a track are.

The limits keep every rendered form of a topic inside Discord's 4,000 characters a message.
"""

import re
import shlex
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from weekbot.content.address import fault_of
from weekbot.content.characters import named
from weekbot.content.inline import faults
from weekbot.content.located import FAULT
from weekbot.content.scripts import mixed_in_code

DAYS = 7
ANSWERS = 4
EXAMPLE_LINES = 25
OUTPUT_LINES = 12
DEFAULT_RUN = "python example.py"
EVERYTHING = "everything"


class Category(StrEnum):
    BASICS = "basics"
    WEB = "web"
    MACHINE_LEARNING = "machine-learning"
    CRAWLING = "crawling"
    DATA_SCIENCE = "data-science"
    TESTING = "testing"
    SERVICES = "services"
    APPS = "apps"


class Status(StrEnum):
    ACTIVE = "active"
    MAINTENANCE = "maintenance"
    ARCHIVED = "archived"


_WEB_ADDRESS = re.compile(r"https?://[^\s\"';|&]+")  # in a command, where a shell ends it


def _address(url: str) -> str:
    if fault := fault_of(url):
        raise PydanticCustomError("address", "{fault}", {"fault": fault})
    return url


def _drawn(text: str) -> str:
    """Cards draw it as Markdown."""
    if fault := next(faults(text), None):
        raise PydanticCustomError(FAULT, "{fault}", {"fault": fault.message})
    return text


def _unmixed(text: str) -> str:
    if not text.isascii() and (mixed := next(mixed_in_code(text), None)):
        raise PydanticCustomError(FAULT, "{fault}", {"fault": mixed[1]})
    return text


def _typed(text: str) -> str:
    """What is typed into a terminal: in ASCII, with addresses that lead where they seem to.

    A word of mixed scripts is reported by itself.
    """
    if not text.isascii() and not any(mixed_in_code(text)):
        strange = next(character for character in text if not character.isascii())
        raise PydanticCustomError("typed", "must be in ASCII, without {name}", {"name": named(strange)})
    for address in _WEB_ADDRESS.findall(text):
        if fault := fault_of(address):
            raise PydanticCustomError(FAULT, "{fault}", {"fault": f"the address {address} {fault}"})
    return text


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise PydanticCustomError("specifier", "must be a version range such as >=3.10") from None
    return text


def _sentence(text: str) -> str:
    if not text.endswith((".", "!", "?")) or "\n" in text:
        raise PydanticCustomError("sentence", "must be one sentence that ends with a full stop")
    return text


def _question(text: str) -> str:
    if not text.endswith("?"):
        raise PydanticCustomError("question", "must be a question that ends with a question mark")
    return text


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise PydanticCustomError("version", "must be a version such as 3.1.2") from None
    return text


def _pinned(text: str) -> str:
    try:
        pins = [pin.operator for pin in Requirement(text).specifier]
    except InvalidRequirement:
        pins = []
    if pins != ["=="] or "*" in text:
        raise PydanticCustomError("pinned", "must be a requirement with one exact version, such as httpx==0.28.1")
    return text


def _command(text: str) -> str:
    """Its last word is the file that the example is saved as."""
    try:
        name = shlex.split(text)[-1]
    except (ValueError, IndexError):
        name = ""
    if not re.fullmatch(r"\w[\w.-]*\.[a-z]+", name):
        raise PydanticCustomError("command", "must end with the example's file name, as in pytest test_prices.py")
    return text


def _at_most(limit: int) -> AfterValidator:
    """At most so many lines."""

    def check(text: str) -> str:
        lines = text.count("\n") + 1
        if lines > limit:
            raise PydanticCustomError(
                "lines", "has {lines} lines, at most {limit} fit", {"lines": lines, "limit": limit}
            )
        return text

    return AfterValidator(check)


def _named(text: str) -> str:
    if not any(character.isalnum() for character in text):
        raise PydanticCustomError("name", "needs a letter or a digit, or nobody can type it")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "`" in text:
        raise PydanticCustomError("one_line", "must be one line without backticks")
    return text


def _unfenced(text: str) -> str:
    if "```" in text:
        raise PydanticCustomError("fence", "must not contain three backticks, which would end its code block")
    return text


def _iso_date(value: object) -> object:
    """pydantic takes a bare number for seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise PydanticCustomError("iso_date", "must be a date such as 2026-11-23")
    return value


def _exactly(count: int) -> BeforeValidator:
    """pydantic's own count leaves out entries that are wrong, and would report one mistake as two."""

    def check(entries: object) -> object:
        have = len(entries) if isinstance(entries, list | tuple) else count
        if have != count:
            bound = "at least {count} are needed" if have < count else "at most {count} fit"
            raise PydanticCustomError("count", f"has {{have}} entries, {bound}", {"have": have, "count": count})
        return entries

    return BeforeValidator(check)


def _text(limit: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=limit)


SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SLUG_LENGTH = 40
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH)]
Url = Annotated[str, _text(200), AfterValidator(_address)]
Specifier = Annotated[str, _text(30), AfterValidator(_specifier), AfterValidator(_drawn)]
Release = Annotated[str, _text(30), AfterValidator(_version)]
Pin = Annotated[str, _text(80), AfterValidator(_pinned)]
Command = Annotated[
    str,
    _text(60),
    AfterValidator(_one_line),
    AfterValidator(_unmixed),
    AfterValidator(_typed),
    AfterValidator(_command),
]
Title = Annotated[str, _text(60), AfterValidator(_named), AfterValidator(_unmixed), AfterValidator(_drawn)]
Alias = Annotated[str, _text(40), AfterValidator(_named), AfterValidator(_unmixed)]
Tag = Annotated[str, _text(20), AfterValidator(_unmixed)]
Licence = Annotated[str, _text(40), AfterValidator(_drawn)]
Summary = Annotated[str, _text(160), AfterValidator(_sentence), AfterValidator(_drawn)]
Note = Annotated[str, _text(150), AfterValidator(_sentence), AfterValidator(_drawn)]
Lead = Annotated[str, _text(800)]
Prose = Annotated[str, _text(600)]
Install = Annotated[str, _text(100), AfterValidator(_one_line), AfterValidator(_typed)]
Example = Annotated[str, _text(800), _at_most(EXAMPLE_LINES), AfterValidator(_unfenced)]
# Not stripped: a table's first line may begin with spaces.
Output = Annotated[
    str, StringConstraints(min_length=1, max_length=300), _at_most(OUTPUT_LINES), AfterValidator(_unfenced)
]
Day = Annotated[str, _text(140)]
Question = Annotated[str, _text(250), AfterValidator(_question)]
QuizQuestion = Annotated[str, _text(200), AfterValidator(_question)]
Answer = Annotated[str, _text(80)]
Reason = Annotated[str, _text(300)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TopicFacts(Part):
    """The front matter that every topic has."""

    title: Title
    category: Category
    aliases: tuple[Alias, ...] = Field(default=(), max_length=12, description="Other spellings that people type")
    summary: Summary
    tags: tuple[Tag, ...] = Field(default=(), max_length=6)
    related: tuple[Slug, ...] = Field(default=(), max_length=6, description="Slugs of related topics")
    sources: tuple[Url, ...] = Field(min_length=1, description="Where the claims were checked")
    reviewed: Annotated[date, BeforeValidator(_iso_date)]


class ConceptFacts(TopicFacts):
    """The front matter of a concept."""

    kind: Literal["concept"]


class StatedFact(StrEnum):
    """What a package states about itself, and a topic as well."""

    LICENCE = "licence"
    PYTHON = "python"
    HOMEPAGE = "homepage"


class FrameworkFacts(TopicFacts):
    """The front matter of a framework: every topic's and the facts of its package."""

    kind: Literal["framework"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)] = Field(
        description="Its name on PyPI"
    )
    homepage: Url
    docs: Url
    source: Url
    licence: Licence = Field(description="An SPDX identifier")
    first_release: int = Field(ge=1990, le=2100, description="A year")
    status: Status
    status_note: Note | None = Field(default=None, description="One sentence; required unless active")
    python: Specifier = Field(description="Supported Python versions as the package declares them")
    version: Release = Field(description="The latest release seen; the example is run with it")
    needs: tuple[Pin, ...] = Field(
        default=(), max_length=6, description="Other packages the example needs, each pinned"
    )
    run: Command = Field(default=DEFAULT_RUN, description="How the example is run; its last word is the file's name")
    heavy: bool = Field(default=False, description="Whether it takes long to install")
    not_run: Note | None = Field(default=None, description="Why the example cannot run unattended")
    differs: dict[StatedFact, Note] = Field(
        default={}, description="Facts that differ from what the package states, each with the reason"
    )

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.status is not Status.ACTIVE and self.status_note is None:
            raise PydanticCustomError(
                "status_note",
                "status_note is missing: say in a sentence why the status is {status}",
                {"status": self.status},
            )
        return self


class FirstSteps(Part):
    install: Install
    example: Example
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]*$", max_length=20)] = "python"
    output: Output | None = Field(default=None, description="What the example prints; ... stands for anything")


class Quiz(Part):
    question: QuizQuestion
    answers: Annotated[tuple[Answer, ...], _exactly(ANSWERS)]
    right: int = Field(ge=0, lt=ANSWERS, description="Index of the right answer, from 0")
    why: Reason


Week = Annotated[tuple[Day, ...], _exactly(DAYS), Field(title="The week")]


class ConceptBody(Part):
    """The sections of a concept in their order; a field's title is its heading."""

    what_it_is: Lead = Field(title="What it is")
    why_it_matters: Prose = Field(title="Why it matters")
    week: Week
    discuss: Question = Field(title="Discuss")
    quiz: Quiz = Field(title="Quiz")


class FrameworkBody(Part):
    """The sections of a framework in their order; a field's title is its heading."""

    what_it_is: Lead = Field(title="What it is")
    when_to_choose: Prose = Field(title="When to choose it")
    when_not: Prose = Field(title="When not to")
    first_steps: FirstSteps = Field(title="First steps")
    week: Week
    discuss: Question = Field(title="Discuss")
    quiz: Quiz = Field(title="Quiz")


class Translation(Part):
    """The front matter of a topic's translation; everything else is the original's."""

    title: Title | None = None
    summary: Summary
    status_note: Note | None = None
    reviewed: Annotated[date, BeforeValidator(_iso_date)]


class Concept(ConceptFacts):
    """An idea that a week is devoted to. `translations` are by locale, as in `language.LOCALES`."""

    slug: Slug
    body: ConceptBody
    translations: dict[str, "Concept"] = {}


class Framework(FrameworkFacts):
    """A package that a week is devoted to. `translations` are by locale, as in `language.LOCALES`."""

    slug: Slug
    body: FrameworkBody
    translations: dict[str, "Framework"] = {}


Topic = Concept | Framework


def in_language(topic: Topic, locale: str) -> Topic:
    """The topic's translation; the topic itself where it has none."""
    return topic.translations.get(locale, topic)


class Track(Part):
    """An ordered list of topics that a channel can subscribe to."""

    slug: Slug
    title: Title
    summary: Summary
    topics: tuple[Slug, ...] = Field(min_length=1)


class TrackEntry(Part):
    """A track as `tracks.yaml` has it: topics of its own, or other tracks, one after another or taking turns."""

    title: Title
    summary: Summary
    topics: tuple[Slug, ...] = ()
    includes: tuple[Slug, ...] = Field(default=(), description="Other tracks, one after another")
    alternates: tuple[Slug, ...] = Field(default=(), description="Other tracks, taking turns, after those included")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if bool(self.topics) == bool(self.includes or self.alternates):
            raise PydanticCustomError("track", "needs either topics, or includes and alternates")
        return self


class TracksFile(Part):
    tracks: dict[Slug, TrackEntry] = Field(min_length=1, max_length=25)
    popular: tuple[Slug, ...] = Field(default=(), max_length=25, description="Suggested before anything is typed")
