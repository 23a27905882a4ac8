"""What follows a post: its thread and its pin."""

from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.finding import Finding
from weekbot.rehearse.posting import CARD, EMBED, MESSAGES
from weekbot.rehearse.stage import Stage, message_id_of
from weekbot.store.steps import StepName

MOST_READ = 50


async def thread(stage: Stage) -> Finding:
    post = stage.posted(EMBED, CARD)
    await asked(stage.sender.follow_up(StepName.THREAD, post, stage.script.topic))
    await asked(stage.client.http.logs_from(message_id_of(post), MOST_READ, after=0))
    return expect.thread_begins(stage.transcript.newest("GET", MESSAGES), message_id_of(post))


async def last_message(stage: Stage) -> Finding:
    """A thread on a post has the post's id."""
    thread_id = message_id_of(stage.posted(EMBED, CARD))
    history = stage.transcript.newest("GET", f"/{thread_id}{MESSAGES}")
    await asked(stage.client.http.get_channel(thread_id))
    return expect.last_message(stage.transcript.newest("GET", f"/{thread_id}"), history)


async def pin(stage: Stage) -> Finding:
    post = stage.posted(EMBED, CARD)
    await asked(stage.sender.follow_up(StepName.PIN, post, None))
    await asked(stage.client.http.pins_from(stage.channel_id, MOST_READ))
    return expect.pinned(stage.transcript.newest("GET", "/pins"), message_id_of(post))
