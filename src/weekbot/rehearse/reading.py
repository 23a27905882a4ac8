"""Looking posts up by their custom ids, in the channel and in a forum."""

from datetime import datetime, timedelta
from typing import Final

import discord

from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.posting import CARD, EMBED, MESSAGES, NO_OPTIONS
from weekbot.rehearse.stage import NothingToTryError, Stage, message_id_of
from weekbot.store.delivery import Delivery

FORUM: Final = "forum"
MOST_READ = 50  # messages
BEFORE = timedelta(minutes=1)  # a look-up begins earlier than what it looks for


async def custom_ids(stage: Stage) -> Finding:
    stage.posted(CARD, EMBED)
    sent = [stage.transcript.newest("POST", MESSAGES, part=part) for part in (CARD, EMBED) if part in stage.posts]
    first = min(message_id_of(stage.posts[part]) for part in (CARD, EMBED) if part in stage.posts)
    await asked(stage.client.http.logs_from(stage.channel_id, MOST_READ, after=first - 1))
    return expect.custom_ids_kept(stage.transcript.newest("GET", MESSAGES), sent)


async def look_up(stage: Stage) -> Finding:
    return await _found(stage, "look-up", stage.posted(EMBED, CARD))


async def forum(stage: Stage) -> Finding:
    spot = stage.venue.forum
    if spot is None:
        raise NothingToTryError("there is no forum in this server in which weekbot may post")
    await stage.post(FORUM, stage.script.delivery(4, spot, stage.clock.now(), NO_OPTIONS))
    return expect.forum_post(stage.transcript.newest("POST", "/threads"))


async def look_up_in_forum(stage: Stage) -> Finding:
    return await _found(stage, "forum look-up", stage.posted(FORUM))


async def _found(stage: Stage, part: str, post: Delivery) -> Finding:
    read = await asked(stage.sender.find(post, _before(post), None))
    return expect.found(part, message_id_of(post), [each.message_id for each in read.posts])


def _before(post: Delivery) -> datetime:
    """By Discord's time."""
    return discord.utils.snowflake_time(message_id_of(post)) - BEFORE
