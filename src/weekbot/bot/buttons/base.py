"""The base of all button handlers. They need only the custom id, so buttons outlive restarts."""

import re
from dataclasses import dataclass
from typing import ClassVar

from weekbot.bot.responses import Interaction
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.runtime.errors import WeekbotError


class TopicGoneError(WeekbotError):
    """This topic is no longer available. `/topic list` shows the topics that are."""


@dataclass(frozen=True)
class Press:
    """A pressed component: the match of its custom id, and the value that was chosen in a select."""

    match: re.Match[str]
    chosen: str = ""

    def __getitem__(self, name: str) -> str:
        return self.match[name]


class Button:
    """Handles presses whose custom id matches `template`.

    If it `changes` something, the press is acknowledged first. The response is a new private message, unless the
    handler `redraws` the message with the button.
    """

    template: ClassVar[str]
    changes: ClassVar[bool] = False
    redraws: ClassVar[bool] = False

    async def respond(self, interaction: Interaction, press: Press) -> None:
        raise NotImplementedError


def find_topic(library: Library, name: str) -> Topic:
    """Find the topic by its slug or a former one. Raises TopicGoneError."""
    topic = library.find(name)
    if topic is None:
        raise TopicGoneError
    return topic
