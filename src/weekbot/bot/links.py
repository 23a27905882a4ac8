"""Links and instants as Discord draws them."""

from datetime import datetime
from typing import Literal

from discord.utils import format_dt

from weekbot.store.delivery import Delivery


def moment(instant: datetime, style: Literal["F", "R"] = "F") -> str:
    """A timestamp that each member sees in their own time."""
    return format_dt(instant, style)


def message_link(delivery: Delivery) -> str:
    """The post of a delivery that was sent."""
    guild_id = delivery.subscription.guild_id
    return f"https://discord.com/channels/{guild_id}/{delivery.message_channel_id}/{delivery.message_id}"
