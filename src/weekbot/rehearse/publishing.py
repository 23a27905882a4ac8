"""Publishing, and what a channel that follows gets of it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from weekbot.rehearse import expectations as expect
from weekbot.rehearse.asking import asked
from weekbot.rehearse.exchange import Payload, messages_in, texts
from weekbot.rehearse.finding import Finding, Result, as_expected, deviates, look
from weekbot.rehearse.posting import CARD, EMBED, MESSAGES
from weekbot.rehearse.stage import NothingToTryError, Stage, message_id_of
from weekbot.rehearse.venue import Spot
from weekbot.store.delivery import Delivery
from weekbot.store.steps import StepName

PATIENCE_SECONDS = 20
A_SECOND = timedelta(seconds=1)
MOST_READ = 50
HIDDEN = "it arrived, but Discord hides its content from weekbot; look at {link}, which should {shows}"


async def follow(stage: Stage) -> Finding:
    follower = _follower(stage)
    if lacking := follower.lacks(("manage_webhooks",)):
        raise NothingToTryError(f"missing in {follower.name}: {', '.join(lacking)}")
    await asked(stage.client.http.follow_webhook(stage.channel_id, follower.channel.id))
    stage.followed = True
    return as_expected("following", f"{follower.name} follows {stage.venue.test.name}")


async def publish(stage: Stage) -> Finding:
    return await _published(stage, "publication", stage.posted(EMBED))


async def follower(stage: Stage) -> Finding:
    _follower(stage)
    post = stage.posted(EMBED)
    sent = stage.transcript.newest("POST", MESSAGES, part=EMBED)
    shows = "show the topic with its links, and no buttons"
    return await _copied(stage, "follower", post, shows, lambda copy: expect.copy_of_embed(copy, sent))


async def card_copy(stage: Stage) -> Finding:
    """A card is never published by the bot, as its copy is thought to be empty."""
    _follower(stage)
    published = await _published(stage, "card copy", stage.posted(CARD))
    if published.result is not Result.AS_EXPECTED:
        return published
    return await _copied(stage, "card copy", stage.posted(CARD), "be empty", expect.copy_of_card)


async def _published(stage: Stage, part: str, post: Delivery) -> Finding:
    if not stage.venue.test.is_announcement:
        raise NothingToTryError(f"{stage.venue.test.name} is not an announcement channel")
    await asked(stage.sender.follow_up(StepName.PUBLISH, post, None))
    return expect.published(part, stage.transcript.newest("POST", "/crosspost"))


async def _copied(stage: Stage, part: str, post: Delivery, shows: str, judge: Callable[[Payload], Finding]) -> Finding:
    _require_published(stage, message_id_of(post))
    copy = await _wait_for_copy(stage, message_id_of(post))
    if copy is None:
        none = f"no copy came to {_follower(stage).name} within {PATIENCE_SECONDS} s"
        if not stage.followed:
            raise NothingToTryError(f"{none}; let it follow {stage.venue.test.name} by hand")
        return deviates(part, none)
    if texts(copy) or stage.reads_content:
        return judge(copy)
    stage.kept |= {message_id_of(post), int(copy["id"])}
    where = _follower(stage).link(int(copy["id"]))
    return look(part, HIDDEN.format(link=where, shows=shows))


async def _wait_for_copy(stage: Stage, message_id: int) -> Payload | None:
    follower_id = _follower(stage).channel.id
    for _ in range(PATIENCE_SECONDS):
        await asked(stage.client.http.logs_from(follower_id, MOST_READ, after=message_id))
        answer = stage.transcript.newest("GET", MESSAGES).answer
        for message in messages_in(answer):
            if expect.is_copy(message, message_id):
                return message
        await stage.clock.sleep(A_SECOND)
    return None


def _require_published(stage: Stage, message_id: int) -> None:
    """Raises NothingToTryError."""
    with suppress(LookupError):
        if stage.transcript.newest("POST", f"/{message_id}/crosspost").ok:
            return
    raise NothingToTryError("the post was not published")


def _follower(stage: Stage) -> Spot:
    """Raises NothingToTryError."""
    if stage.venue.follower is None:
        raise NothingToTryError("--follow says which channel is to follow")
    return stage.venue.follower
