"""The checks of a rehearsal, in their order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from weekbot.rehearse import posting, publishing
from weekbot.rehearse.context import Context, what_happened
from weekbot.rehearse.finding import DeviatesError, Finding, LookError, NotTriedError, Result, SkippedError

HISTORY = "read_message_history"
THREADS = ("create_public_threads", "send_messages_in_threads", HISTORY)


@dataclass(frozen=True)
class Check:
    """`needs` are the permissions in the test channel without which it is not tried."""

    part: str
    perform: Callable[[Context], Awaitable[str]]
    needs: tuple[str, ...] = ()

    async def finding(self, context: Context) -> Finding:
        """Whatever happens."""
        begun, context.transcript.part = len(context.transcript.exchanges), self.part
        try:
            return Finding(self.part, *await self._result(context))
        except Exception as error:
            return Finding(self.part, Result.DEVIATES, what_happened(error, context.transcript.exchanges[begun:]))
        finally:
            context.transcript.part = None

    async def _result(self, context: Context) -> tuple[Result, str]:
        test = context.channels.test
        if lacking := test.lacks(self.needs):
            return Result.NOT_TRIED, f"missing in {test.name}: {', '.join(lacking)}"
        try:
            return Result.AS_EXPECTED, await self.perform(context)
        except DeviatesError as error:
            return Result.DEVIATES, str(error)
        except NotTriedError as error:
            return Result.NOT_TRIED, str(error)
        except SkippedError as error:
            return Result.SKIPPED, str(error)
        except LookError as error:
            return Result.LOOK, str(error)


CHECKS = (
    Check("clock", posting.clock),
    Check(posting.CARD, posting.card),
    Check("limits", posting.limits),
    Check("nonce", posting.nonce),
    Check(posting.EMBED, posting.embed, ("embed_links",)),
    Check("ping", posting.ping),
    Check("custom ids", posting.in_history, (HISTORY,)),
    Check("look-up", posting.look_up, (HISTORY,)),
    Check("thread", posting.thread, THREADS),
    Check("pin", posting.pin, ("pin_messages", HISTORY)),
    Check("following", publishing.follow),
    Check("publication", publishing.publish),
    Check("follower", publishing.follower),
    Check("card copy", publishing.card_copy),
    Check("card edit", posting.edit_card),
    Check("embed edit", posting.edit_embed),
    Check("poll", posting.poll, ("create_polls", HISTORY)),
    Check("poll end", posting.poll_end, ("create_polls", HISTORY)),
    Check("forum", posting.forum),
    Check("deleted", posting.deleted),
    Check("no channel", posting.no_channel),
    Check("no content", posting.no_content),
)
