"""A poll, and its results."""

from datetime import timedelta

import discord

from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.exchange import Exchange
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.posting import MESSAGES
from weekbot.rehearse.stage import NothingToTryError, Stage

ANSWERS = ("Flask", "Django")
OPEN_FOR = timedelta(hours=1)
PATIENCE_SECONDS = 10
A_SECOND = timedelta(seconds=1)


async def poll(stage: Stage) -> Finding:
    asking = discord.Poll(f"{stage.script.mark}: which one next?", OPEN_FOR)
    for answer in ANSWERS:
        asking.add_answer(text=answer)
    await asked(stage.channel.send(poll=asking))
    sent = stage.transcript.newest("POST", MESSAGES)
    return expect.poll_open(await _read(stage, int(sent.answer["id"])), sent.sent["poll"])


async def end(stage: Stage) -> Finding:
    """Discord may take a moment to count."""
    try:
        poll_id = int(stage.transcript.newest("POST", MESSAGES, part="poll").answer["id"])
    except LookupError:
        raise NothingToTryError("there is no poll") from None
    await asked(stage.client.http.end_poll(stage.channel_id, poll_id))
    for _ in range(PATIENCE_SECONDS):
        answer = await _read(stage, poll_id)
        if expect.is_final(answer):
            break
        await stage.clock.sleep(A_SECOND)
    return expect.poll_ended(answer, PATIENCE_SECONDS)


async def _read(stage: Stage, message_id: int) -> Exchange:
    await asked(stage.client.http.get_message(stage.channel_id, message_id))
    return stage.transcript.newest("GET", f"/{message_id}")
