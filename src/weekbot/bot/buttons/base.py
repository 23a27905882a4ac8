"""The base of all button handlers. They need only the custom id, so buttons outlive restarts."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from weekbot.bot.responses import Interaction
from weekbot.bot.services import Services
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


@dataclass(frozen=True)
class Button:
    """Responds to presses whose custom id matches `template`.

    If it `changes` something, the press is acknowledged first. The response is a new private message, unless the
    handler `redraws` the message with the button.
    """

    template: str
    respond: Callable[[Services, Interaction, Press], Awaitable[None]]
    changes: bool = False
    redraws: bool = False
    for_moderators: bool = False


def topic_of(services: Services, press: Press) -> Topic:
    """Find the topic in the custom id, or else the chosen one, by its slug or a former one. Raises TopicGoneError."""
    topic = services.lookup.library().find(press.match.groupdict().get("slug", press.chosen))
    if topic is None:
        raise TopicGoneError
    return topic
