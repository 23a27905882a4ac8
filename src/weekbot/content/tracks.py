"""Tracks: ordered lists of topics that a channel can subscribe to."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from weekbot.content import EVERYTHING as EVERYTHING
from weekbot.content.field_types import Slug, Summary, Title
from weekbot.content.model import ContentModel


class Track(ContentModel):
    slug: Slug
    title: Title
    summary: Summary
    topics: tuple[Slug, ...] = Field(min_length=1)


class TrackEntry(ContentModel):
    """A track in `tracks.yaml`: either its own topics, or those of other tracks."""

    title: Title
    summary: Summary
    topics: tuple[Slug, ...] = ()
    includes: tuple[Slug, ...] = Field(default=(), description="Other tracks, one after another")
    alternates: tuple[Slug, ...] = Field(default=(), description="Other tracks, taking turns, after those included")

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        if bool(self.topics) == bool(self.includes or self.alternates):
            raise PydanticCustomError("track", "needs either topics, or includes and alternates")
        return self


class TracksFile(ContentModel):
    tracks: dict[Slug, TrackEntry] = Field(min_length=1, max_length=25)
    popular: tuple[Slug, ...] = Field(default=(), max_length=25, description="Suggested before anything is typed")
