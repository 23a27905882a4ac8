"""Links and instants as Discord draws them."""

from datetime import datetime
from typing import Literal

from discord.utils import format_dt
from pydantic import AnyHttpUrl

from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery


def moment(instant: datetime, style: Literal["F", "R", "f"] = "F") -> str:
    """A timestamp that each member sees in their own time."""
    return format_dt(instant, style)


def file_of(repository: AnyHttpUrl | None, topic: Topic, locale: str) -> str | None:
    """Where the topic's file can be improved, in a repository on GitHub or one that has the same addresses.

    It is the file that is read in this language: the translation's where there is one.
    """
    if repository is None:
        return None
    name = f"{topic.slug}.{locale}.md" if locale in topic.translations else f"{topic.slug}.md"
    return f"{str(repository).rstrip('/')}/blob/HEAD/content/topics/{name}"


def linked(title: str, delivery: Delivery) -> str:
    """The title as a link to the post, unless that was removed."""
    link = message_link(delivery)
    return f"[{title}]({link})" if link else f"**{title}**"


def message_link(delivery: Delivery) -> str | None:
    """The post of a delivery that was sent; None if it was removed before its message was known."""
    if delivery.message_id is None:
        return None
    guild_id = delivery.subscription.guild_id
    return f"https://discord.com/channels/{guild_id}/{delivery.message_channel_id}/{delivery.message_id}"
