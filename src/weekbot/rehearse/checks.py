"""The checks of a rehearsal, in their order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from weekbot.rehearse import post_checks, publication_checks
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
    Check("clock", post_checks.clock),
    Check(post_checks.CARD, post_checks.card),
    Check("limits", post_checks.limits),
    Check("nonce", post_checks.nonce),
    Check(post_checks.EMBED, post_checks.embed, ("embed_links",)),
    Check("ping", post_checks.ping),
    Check("custom ids", post_checks.in_history, (HISTORY,)),
    Check("look-up", post_checks.look_up, (HISTORY,)),
    Check("thread", post_checks.thread, THREADS),
    Check("pin", post_checks.pin, ("pin_messages", HISTORY)),
    Check("following", publication_checks.follow),
    Check("publication", publication_checks.publish),
    Check("follower", publication_checks.follower),
    Check("card copy", publication_checks.card_copy),
    Check("card edit", post_checks.edit_card),
    Check("embed edit", post_checks.edit_embed),
    Check("poll", post_checks.poll, ("create_polls", HISTORY)),
    Check("poll end", post_checks.poll_end, ("create_polls", HISTORY)),
    Check("forum", post_checks.forum),
    Check("deleted", post_checks.deleted),
    Check("no channel", post_checks.no_channel),
    Check("no content", post_checks.no_content),
)
