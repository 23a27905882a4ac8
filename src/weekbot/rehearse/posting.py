"""Posting as the bot does: both forms, one nonce, edits, and what comes after a deletion."""

from contextlib import suppress
from typing import Final

from weekbot.content.model import EVERYTHING
from weekbot.delivery.discord_mentions import no_mentions
from weekbot.delivery.outcomes import RefusedError
from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.stage import NothingToTryError, Stage, message_id_of
from weekbot.store.delivery import Delivery, PostForm
from weekbot.store.subscriptions import Options

MESSAGES: Final = "/messages"
CARD, EMBED = "card", "embed"
NO_OPTIONS: Final = Options(EVERYTHING)


async def card(stage: Stage) -> Finding:
    await stage.post(CARD, _delivery(stage, 1))
    return expect.posted(CARD, stage.transcript.newest("POST", MESSAGES), PostForm.COMPONENTS)


async def limits(stage: Stage) -> Finding:
    return expect.limits(stage.transcript.newest("POST", MESSAGES))


async def nonce(stage: Stage) -> Finding:
    post, first = stage.posted(CARD), stage.transcript.newest("POST", MESSAGES)
    await stage.post("nonce", post)
    return expect.one_message(first, stage.transcript.newest("POST", MESSAGES))


async def embed(stage: Stage) -> Finding:
    """With every option that a subscription has."""
    own_role_id = stage.venue.own_role_id
    every_option = Options(EVERYTHING, thread=True, pin=True, publish=True, ping_role_id=own_role_id)
    await stage.post(EMBED, _delivery(stage, 2, every_option))
    return expect.posted(EMBED, stage.transcript.newest("POST", MESSAGES), PostForm.EMBED)


async def edit_card(stage: Stage) -> Finding:
    return await _edit(stage, "card edit", stage.posted(CARD))


async def edit_embed(stage: Stage) -> Finding:
    return await _edit(stage, "embed edit", stage.posted(EMBED))


async def _edit(stage: Stage, part: str, post: Delivery) -> Finding:
    await asked(stage.sender.edit(post, stage.script.edited))
    answer = stage.transcript.newest("PATCH", f"/{message_id_of(post)}")
    return expect.edited(part, answer, post.known_form or PostForm.COMPONENTS)


async def deleted(stage: Stage) -> Finding:
    post = await stage.post("deleted", _delivery(stage, 3))
    await asked(stage.client.http.delete_message(stage.channel_id, message_id_of(post)))
    with suppress(RefusedError):
        await stage.post("deleted", post)
    return expect.sent_after_deletion(stage.transcript.newest("POST", MESSAGES), message_id_of(post))


async def ping(stage: Stage) -> Finding:
    """Nobody else has the bot's own role, so that nobody is disturbed if it is pinged."""
    role_id = stage.venue.own_role_id
    if role_id is None:
        raise NothingToTryError("weekbot has no role of its own to mention")
    await asked(stage.channel.send(f"{stage.script.mark}: <@&{role_id}>", allowed_mentions=no_mentions()))
    return expect.pings_nobody(stage.transcript.newest("POST", MESSAGES))


def _delivery(stage: Stage, number: int, options: Options = NO_OPTIONS) -> Delivery:
    return stage.script.delivery(number, stage.venue.test, stage.clock.now(), options)
