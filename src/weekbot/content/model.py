"""Models of topics: frameworks and concepts, their front matter and sections."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from weekbot.content import field_types as types

DEFAULT_RUN = "python example.py"


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


class ContentModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TopicFacts(ContentModel):
    title: types.Title
    category: Category
    aliases: tuple[types.Alias, ...] = Field(default=(), max_length=12, description="Other spellings that people type")
    summary: types.Summary
    tags: tuple[types.Tag, ...] = Field(default=(), max_length=6)
    related: tuple[types.Slug, ...] = Field(default=(), max_length=6, description="Slugs of related topics")
    sources: tuple[types.Url, ...] = Field(min_length=1, description="Where the claims were checked")
    reviewed: types.ReviewDate


class ConceptFacts(TopicFacts):
    """The front matter of a concept."""

    kind: Literal["concept"]


class PackageFact(StrEnum):
    """A fact that both the package's metadata and its topic state."""

    LICENCE = "licence"
    PYTHON = "python"
    HOMEPAGE = "homepage"


class FrameworkFacts(TopicFacts):
    """The front matter of a framework: every topic's and the facts of its package."""

    kind: Literal["framework"]
    package: types.PackageName = Field(description="Its name on PyPI")
    homepage: types.Url
    docs: types.Url
    source: types.Url
    licence: types.Licence = Field(description="An SPDX identifier")
    first_release: int = Field(ge=1990, le=2100, description="A year")
    status: Status
    status_note: types.Note | None = Field(default=None, description="One sentence; required unless active")
    python: types.Specifier = Field(description="Supported Python versions as the package declares them")
    version: types.Release = Field(description="The latest release seen; the example is run with it")
    needs: tuple[types.Pin, ...] = Field((), max_length=6, description="Other packages the example needs, each pinned")
    run: types.Command = Field(DEFAULT_RUN, description="How the example is run; its last word is the file's name")
    heavy: bool = Field(default=False, description="Whether it takes long to install")
    not_run: types.Note | None = Field(default=None, description="Why the example cannot run unattended")
    differs: dict[PackageFact, types.Note] = Field(
        {}, description="Facts that differ from what the package states, each with the reason"
    )

    @model_validator(mode="after")
    def _check_status_note(self) -> Self:
        if self.status is not Status.ACTIVE and self.status_note is None:
            message = "status_note is missing: say in a sentence why the status is {status}"
            raise PydanticCustomError("status_note", message, {"status": self.status})
        return self


class FirstSteps(ContentModel):
    install: types.Install
    example: types.Example
    language: types.CodeLanguage = "python"
    output: types.Output | None = Field(default=None, description="What the example prints; ... stands for anything")


class Quiz(ContentModel):
    question: types.QuizQuestion
    answers: types.Answers
    right: int = Field(ge=0, lt=types.ANSWERS, description="Index of the right answer, from 0")
    why: types.Reason


class ConceptBody(ContentModel):
    """The sections of a concept in their order; a field's title is its heading."""

    what_it_is: types.Lead = Field(title="What it is")
    why_it_matters: types.Prose = Field(title="Why it matters")
    week: types.Week = Field(title="The week")
    discuss: types.Question = Field(title="Discuss")
    quiz: Quiz = Field(title="Quiz")


class FrameworkBody(ContentModel):
    what_it_is: types.Lead = Field(title="What it is")
    when_to_choose: types.Prose = Field(title="When to choose it")
    when_not: types.Prose = Field(title="When not to")
    first_steps: FirstSteps = Field(title="First steps")
    week: types.Week = Field(title="The week")
    discuss: types.Question = Field(title="Discuss")
    quiz: Quiz = Field(title="Quiz")


class Translation(ContentModel):
    title: types.Title | None = None
    summary: types.Summary
    status_note: types.Note | None = None
    reviewed: types.ReviewDate


class Concept(ConceptFacts):
    """An idea as a topic. `translations` are by locale, as in `language.LOCALES`."""

    slug: types.Slug
    body: ConceptBody
    translations: dict[str, "Concept"] = {}


class Framework(FrameworkFacts):
    """A package as a topic. `translations` are by locale, as in `language.LOCALES`."""

    slug: types.Slug
    body: FrameworkBody
    translations: dict[str, "Framework"] = {}


Topic = Concept | Framework


def translated(topic: Topic, locale: str) -> Topic:
    """Return the topic's translation, or the topic itself if there is none."""
    return topic.translations.get(locale, topic)


def front_matter_schema() -> dict[str, Any]:
    """Return the JSON Schema of front matter, for editors."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[ConceptFacts | FrameworkFacts, Field(discriminator="kind")])
    schema = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": schema, "title": "A weekbot topic's front matter", **adapter.json_schema()}
