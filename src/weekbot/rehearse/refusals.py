"""Requests that Discord has to refuse, in the form that the bot tells errors apart by."""

from contextlib import suppress

import discord

from weekbot.delivery.outcomes import RefusedError
from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.posting import MESSAGES
from weekbot.rehearse.stage import Stage

UNKNOWN_CHANNEL, EMPTY_MESSAGE = 10003, 50006


async def no_channel(stage: Stage) -> Finding:
    nowhere = stage.client.get_partial_messageable(discord.utils.time_snowflake(stage.clock.now(), high=True))
    with suppress(RefusedError):
        await asked(nowhere.send(stage.script.mark))
    answer = stage.transcript.newest("POST", MESSAGES)
    return expect.refused("no channel", "a message to a channel that does not exist", answer, UNKNOWN_CHANNEL)


async def no_content(stage: Stage) -> Finding:
    with suppress(RefusedError):
        await asked(stage.channel.send(""))
    answer = stage.transcript.newest("POST", MESSAGES)
    return expect.refused("no content", "an empty message", answer, EMPTY_MESSAGE)
