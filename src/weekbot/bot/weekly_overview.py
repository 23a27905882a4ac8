"""How the weekly topics of a server are doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import discord

from weekbot.bot.services import Services
from weekbot.content.model import Topic, translated
from weekbot.discord_io.notice_channel import notice_channel_of
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import Language

A_PAGE = 10
SHOWN_STATES = (State.PENDING, State.SENT, State.MISSED, State.BLOCKED, State.UNVERIFIED)


@dataclass(frozen=True)
class Health:
    """A subscription and all that a moderator wants to know of it.

    `trouble` is what would keep the next post from being as it should, in words; `title` is the last delivery's topic;
    `needs` names the permissions that posts need, as far as the channel is known.
    """

    subscription: Subscription
    coming: Topic
    last: Delivery | None
    title: str
    failures: Sequence[str]
    trouble: str | None
    needs: Sequence[str] = ()


@dataclass(frozen=True)
class Overview:
    """A page of a server's subscriptions, from the one numbered `first` (from 0) on, and numbers of all of them.

    `following` are the ids of channels that follow the home channel instead; `is_heard` is whether the bot has a
    channel for notices.
    """

    states: Sequence[Health]
    first: int
    total: int
    in_trouble: int
    paused: int
    following: Sequence[int] = ()
    is_heard: bool = True


async def guild_health(
    tr: Language, services: Services, guild: discord.Guild, here: int | None, first: int = 0
) -> Overview:
    """That of the channel `here` leads, then those that want looking after, as a page has room for few."""
    found = await services.subscriptions.of_guild(guild.id)
    troubles = await services.inspection.summaries(tr, found)
    lasts = await _lasts(services, found)
    failures = await _failures(services, lasts)
    troubled = {
        each.id for each in found if each.unreadable or each.blocked or each.id in troubles.keys() | failures.keys()
    }
    found.sort(key=lambda each: (each.channel_id != here, each.id not in troubled, each.id))
    first = min(first, max(0, len(found) - 1))
    shown = found[first : first + A_PAGE]
    return Overview(
        states=[
            await _health(tr, services, each, lasts.get(each.id), failures.get(each.id, []), troubles.get(each.id))
            for each in shown
        ],
        first=first,
        total=len(found),
        in_trouble=len(troubled),
        paused=sum(each.paused for each in found),
        following=await services.following.of_guild(guild.id),
        is_heard=notice_channel_of(guild, (await services.guilds.settings(guild.id)).notices_channel_id) is not None,
    )


async def channel_health(tr: Language, services: Services, subscription: Subscription) -> Health:
    id_, troubles = subscription.id, await services.inspection.summaries(tr, [subscription])
    lasts = await _lasts(services, [subscription])
    failures = await _failures(services, lasts)
    return await _health(tr, services, subscription, lasts.get(id_), failures.get(id_, []), troubles.get(id_))


async def _lasts(services: Services, subscriptions: Sequence[Subscription]) -> dict[int, Delivery]:
    return await services.deliveries.last([each.id for each in subscriptions], *SHOWN_STATES)


async def _failures(services: Services, lasts: Mapping[int, Delivery]) -> dict[int, list[str]]:
    """Failed steps and edits of each subscription's last post, by subscription id."""
    steps = await services.steps.failures([last.id for last in lasts.values()])
    found = {id_: [*_not_corrected(last), *steps.get(last.id, [])] for id_, last in lasts.items()}
    return {id_: failures for id_, failures in found.items() if failures}


def _not_corrected(last: Delivery) -> list[str]:
    """Why the post could not be edited when its topic was changed; a removed post has a reason of its own."""
    return [last.reason] if last.state is State.SENT and last.message_id and last.reason else []


async def _health(
    tr: Language,
    services: Services,
    subscription: Subscription,
    last: Delivery | None,
    failures: Sequence[str],
    trouble: str | None,
) -> Health:
    return Health(
        subscription=subscription,
        coming=translated(await services.coming_topic(subscription), tr.locale),
        last=last,
        title=services.title(tr, last.topic) if last else "",
        failures=failures,
        trouble=trouble,
        needs=services.inspection.required_permissions(subscription),
    )
