"""What a rehearsal posts: a real topic under another title, so that people and the clean-up know it."""

from dataclasses import dataclass, replace
from datetime import datetime

from weekbot.bot import custom_ids
from weekbot.bot.cards import post_embed
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.ports import Sent
from weekbot.language import ENGLISH
from weekbot.rehearse.venue import Spot
from weekbot.schedule import next_slot
from weekbot.store.delivery import Delivery, State
from weekbot.store.subscriptions import Options, Subscription


@dataclass(frozen=True)
class Script:
    """`mark` is part of all that the rehearsal writes and of nothing else; `run` is eight characters of [0-9a-z]."""

    run: str
    original: Topic

    @property
    def mark(self) -> str:
        return f"Rehearsal {self.run}"

    @property
    def topic(self) -> Topic:
        return self._titled(self.mark)

    @property
    def edited(self) -> Topic:
        """The same after a correction."""
        return self._titled(f"{self.mark}, edited")

    def _titled(self, title: str) -> Topic:
        return self.original.model_copy(update={"title": title})

    def delivery(self, number: int, spot: Spot, now: datetime, options: Options) -> Delivery:
        """A delivery that is in no ledger."""
        slot = next_slot(options.weekly("UTC"), now)
        guild_id, channel_id = spot.channel.guild.id, spot.channel.id
        subscription = Subscription(0, guild_id, channel_id, options, "UTC", round=1, next_slot=slot)
        delivery_id = custom_ids.rehearsal_id(self.run, number)
        return Delivery(delivery_id, subscription, now, self.original.slug, 1, False, False, State.PENDING)


def sent_as(delivery: Delivery, sent: Sent) -> Delivery:
    """The delivery as a ledger would have it."""
    return replace(
        delivery,
        state=State.SENT,
        message_id=sent.message_id,
        message_channel_id=sent.channel_id,
        version=sent.version,
        form=sent.form,
    )


def longest(library: Library) -> Topic:
    """The topic whose post comes nearest to Discord's limits."""
    return max(library.topics.values(), key=lambda topic: len(post_embed(ENGLISH, topic)))
