"""The custom ids of buttons and selects: everything needed to answer a press, even after a restart."""

import re
from collections.abc import Callable
from typing import Final

# A post's *More* button: the delivery's id makes the post findable in the channel's history.
MORE: Final = r"weekbot:more:(?P<delivery>[0-9a-z]{1,24}):(?P<slug>[a-z0-9-]{1,40})"
SECTIONS: Final = r"weekbot:sections:(?P<slug>[a-z0-9-]{1,40})"
FINISHED: Final = r"weekbot:finished:(?P<slug>[a-z0-9-]{1,40})"
TAKE_BACK: Final = r"weekbot:unfinished:(?P<slug>[a-z0-9-]{1,40})"
QUIZ: Final = r"weekbot:quiz:(?P<slug>[a-z0-9-]{1,40})"
# The digest identifies the quiz, which may have changed by the time an answer is pressed.
ANSWER: Final = r"weekbot:answer:(?P<slug>[a-z0-9-]{1,40}):(?P<quiz>[0-9a-f]{8}):(?P<answer>[0-3])"
FORGET: Final = r"weekbot:forget:(?P<sure>yes|no)"
STATUS: Final = r"weekbot:status:(?P<first>\d{1,6})"
MANAGE: Final = r"weekbot:manage:(?P<channel>\d{1,20})"
PREVIEW: Final = r"weekbot:do:preview:(?P<channel>\d{1,20})"
# The topic to post or skip is included, so that a double click doesn't affect the topic after it.
ACTION: Final = (
    r"weekbot:do:(?P<action>post|skip|pause|resume|unsubscribe):(?P<channel>\d{1,20})"
    r"(?::(?P<topic>[a-z0-9-]{1,40}))?"
)
TOPIC: Final = r"weekbot:topic:(?P<slug>[a-z0-9-]{1,40})"
OPEN: Final = "weekbot:open"  # the value of the select is the topic
TRACK: Final = r"weekbot:track:(?P<track>[a-z0-9-]{1,40}):(?P<page>\d{1,3})"

_REHEARSAL: Final = "rehearsal"  # begins the ids of a rehearsal's posts; no delivery's id begins like this


def _of_topic(kind: str) -> Callable[[str], str]:
    """Return a function that takes a topic's slug."""
    return f"weekbot:{kind}:{{}}".format


sections = _of_topic("sections")
finished = _of_topic("finished")
take_back = _of_topic("unfinished")
quiz = _of_topic("quiz")
topic = _of_topic("topic")


def rehearsal_id(run: str, number: int) -> str:
    """Return 24 characters, like a delivery's id; `run` is eight characters of [0-9a-z]."""
    return f"{_REHEARSAL}{run}{number:07}"


def is_rehearsal(delivery_id: str) -> bool:
    return delivery_id.startswith(_REHEARSAL)


def more(delivery_id: str, slug: str) -> str:
    return f"weekbot:more:{delivery_id}:{slug}"


def delivered(custom_id: str) -> tuple[str, str] | None:
    """Return the delivery's id and the topic's slug from the *More* button of a post that isn't a rehearsal's."""
    found = rehearsed_or_delivered(custom_id)
    return None if found and is_rehearsal(found[0]) else found


def rehearsed_or_delivered(custom_id: str) -> tuple[str, str] | None:
    """Return the delivery's id and the topic's slug from the *More* button of any post."""
    found = re.fullmatch(MORE, custom_id)
    return (found["delivery"], found["slug"]) if found else None


def answer(slug: str, quiz_digest: str, index: int) -> str:
    return f"weekbot:answer:{slug}:{quiz_digest}:{index}"


def forget(sure: str) -> str:
    return f"weekbot:forget:{sure}"


def status(first: int) -> str:
    return f"weekbot:status:{first}"


def manage(channel_id: int) -> str:
    return f"weekbot:manage:{channel_id}"


def action(name: str, channel_id: int, topic: str | None = None) -> str:
    return f"weekbot:do:{name}:{channel_id}{f':{topic}' if topic else ''}"


def track(slug: str, page: int) -> str:
    return f"weekbot:track:{slug}:{page}"
