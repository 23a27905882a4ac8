"""The acts of a rehearsal, in their order: each asks Discord for something once and makes one finding."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from weekbot.rehearse import expectations, polls, posting, publishing, reading, refusals, steps
from weekbot.rehearse.finding import Finding, deviates, not_tried
from weekbot.rehearse.stage import NothingToTryError, Stage, what_happened

HISTORY = "read_message_history"


@dataclass(frozen=True)
class Act:
    """`needs` are the permissions in the test channel without which it is not tried."""

    part: str
    perform: Callable[[Stage], Awaitable[Finding]]
    needs: tuple[str, ...] = ()


async def _clock(stage: Stage) -> Finding:
    return expectations.clock(stage.transcript.exchanges[0])


ACTS = (
    Act("clock", _clock),
    Act(posting.CARD, posting.card),
    Act("limits", posting.limits),
    Act("nonce", posting.nonce),
    Act(posting.EMBED, posting.embed, ("embed_links",)),
    Act("ping", posting.ping),
    Act("custom ids", reading.custom_ids, (HISTORY,)),
    Act("look-up", reading.look_up, (HISTORY,)),
    Act("thread", steps.thread, ("create_public_threads", "send_messages_in_threads", HISTORY)),
    Act("last message", steps.last_message, ("create_public_threads", "send_messages_in_threads", HISTORY)),
    Act("pin", steps.pin, ("pin_messages", HISTORY)),
    Act("following", publishing.follow),
    Act("publication", publishing.publish),
    Act("follower", publishing.follower),
    Act("card copy", publishing.card_copy),
    Act("card edit", posting.edit_card),
    Act("embed edit", posting.edit_embed),
    Act("poll", polls.poll, ("create_polls", HISTORY)),
    Act("poll end", polls.end, ("create_polls", HISTORY)),
    Act(reading.FORUM, reading.forum),
    Act("forum look-up", reading.look_up_in_forum),
    Act("deleted", posting.deleted),
    Act("no channel", refusals.no_channel),
    Act("no content", refusals.no_content),
)


async def play(act: Act, stage: Stage) -> Finding:
    """The act's finding, whatever happens."""
    begun = len(stage.transcript.exchanges)
    try:
        with stage.transcript.about(act.part):
            return await _performed(act, stage)
    except NothingToTryError as error:
        return not_tried(act.part, str(error))
    except Exception as error:
        return deviates(act.part, what_happened(error, stage.transcript.exchanges[begun:]))


async def _performed(act: Act, stage: Stage) -> Finding:
    if lacking := stage.venue.test.lacks(act.needs):
        raise NothingToTryError(f"missing in {stage.venue.test.name}: {', '.join(lacking)}")
    return await act.perform(stage)
