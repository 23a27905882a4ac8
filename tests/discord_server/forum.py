"""Forum channels, whose threads are posts with tags."""

from __future__ import annotations

from dataclasses import dataclass, field

from .channel import Channel
from .payload import Payload

REQUIRE_TAG = 1 << 4


@dataclass(frozen=True)
class Tag:
    """A tag of forum posts."""

    id: int
    name: str

    def payload(self) -> Payload:
        """Return the tag as Discord sends it."""
        return {"id": str(self.id), "name": self.name, "moderated": False, "emoji_id": None, "emoji_name": None}


@dataclass(eq=False)
class Forum(Channel):
    """A forum channel."""

    tags: list[Tag] = field(default_factory=list)
    requires_tag: bool = False

    def tag(self, name: str) -> Tag:
        """Return a tag by its name."""
        return next(tag for tag in self.tags if tag.name == name)

    def payload(self) -> Payload:
        """Return the forum as Discord sends it."""
        return super().payload() | {
            "flags": REQUIRE_TAG if self.requires_tag else 0,
            "available_tags": [tag.payload() for tag in self.tags],
            "default_reaction_emoji": None,
            "default_sort_order": None,
            "default_forum_layout": 0,
        }
