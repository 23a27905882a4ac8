"""Texts, links and timestamps within Discord's limits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from discord.utils import format_dt
from pydantic import AnyHttpUrl

from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery
from weekbot.i18n.language import Language

MAX_QUOTED = 60


def cut(text: str, most: int) -> str:
    """Shorten the text to at most `most` characters, if possible between words."""
    if len(text) <= most:
        return text
    head = text[:most]
    whole_words = head.rsplit(maxsplit=1)[0] if " " in head.strip() else head[: most - 1]
    return f"{whole_words[: most - 1].rstrip()}…"


def quoted(text: str) -> str:
    """Show a member's input, shortened, as code: nothing in it is a mention, a link or Markdown."""
    plain = " ".join(text.replace("`", "'").split()) or " "
    return f"`{cut(plain, MAX_QUOTED)}`"


def numbered(lines: Sequence[str], first: int = 1) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, first))


def with_heading(heading: str, text: str) -> str:
    return f"### {heading}\n{text}"


def first_items(tr: Language, items: Sequence[str], most: int) -> str:
    """List the first items, and the number of the others."""
    more = len(items) - most
    if more <= 0:
        return tr.join(items)
    return tr("{items} and {count} more", items=", ".join(items[:most]), count=more)


def moment(instant: datetime, style: Literal["F", "R", "f"] = "F") -> str:
    """Format a timestamp that Discord shows to each member in their own time."""
    return format_dt(instant, style)


def file_of(repository: AnyHttpUrl | None, topic: Topic, locale: str) -> str | None:
    """Return the address of the topic's file, or its translation's, in a repository with GitHub's URL scheme."""
    if repository is None:
        return None
    name = f"{topic.slug}.{locale}.md" if locale in topic.translations else f"{topic.slug}.md"
    return f"{str(repository).rstrip('/')}/blob/HEAD/content/topics/{name}"


def linked(title: str, delivery: Delivery) -> str:
    """Link the title to the post, unless that was removed."""
    link = message_link(delivery)
    return f"[{title}]({link})" if link else f"**{title}**"


def message_link(delivery: Delivery) -> str | None:
    """Return the address of the delivered post; None if it was removed before its message id was known."""
    if delivery.message_id is None:
        return None
    guild_id = delivery.subscription.guild_id
    return f"https://discord.com/channels/{guild_id}/{delivery.message_channel_id}/{delivery.message_id}"
