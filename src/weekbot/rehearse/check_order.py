"""The checks of a rehearsal, in order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from weekbot.domain.deliveries import PostForm
from weekbot.rehearse import post_checks, publication_checks
from weekbot.rehearse.check_result import CheckError, CheckResult, Result
from weekbot.rehearse.rehearsal_context import RehearsalContext

HISTORY = "read_message_history"
THREADS = ("create_public_threads", "send_messages_in_threads", HISTORY)


@dataclass(frozen=True)
class RehearsalCheck:
    """`needs` are the permissions in the test channel without which the check is not tried."""

    part: str
    perform: Callable[[RehearsalContext], Awaitable[str]]
    needs: tuple[str, ...] = ()

    async def run(self, context: RehearsalContext) -> CheckResult:
        """Turn every Exception into a result."""
        started, context.transcript.part = len(context.transcript.exchanges), self.part
        try:
            context.channels.test.require(self.needs)
            return CheckResult(self.part, Result.AS_EXPECTED, await self.perform(context))
        except CheckError as error:
            return CheckResult(self.part, error.result, str(error))
        except Exception as error:
            return CheckResult(self.part, Result.DEVIATES, context.describe(error, started))
        finally:
            context.transcript.part = None


CHECKS = (
    RehearsalCheck("clock", post_checks.clock),
    RehearsalCheck(post_checks.CARD, post_checks.card),
    RehearsalCheck("limits", post_checks.limits),
    RehearsalCheck("nonce", post_checks.nonce),
    RehearsalCheck(post_checks.EMBED, post_checks.embed, ("embed_links",)),
    RehearsalCheck("ping", post_checks.ping),
    RehearsalCheck("custom ids", post_checks.history_custom_ids, (HISTORY,)),
    RehearsalCheck("look-up", post_checks.look_up, (HISTORY,)),
    RehearsalCheck("thread", post_checks.thread, THREADS),
    RehearsalCheck("pin", post_checks.pin, ("pin_messages", HISTORY)),
    RehearsalCheck("following", publication_checks.follow),
    RehearsalCheck("publication", publication_checks.publish),
    RehearsalCheck("follower", publication_checks.follower),
    RehearsalCheck("card copy", publication_checks.card_copy),
    RehearsalCheck("card edit", partial(post_checks.edit, part=post_checks.CARD, form=PostForm.COMPONENTS)),
    RehearsalCheck("embed edit", partial(post_checks.edit, part=post_checks.EMBED, form=PostForm.EMBED)),
    RehearsalCheck("poll", post_checks.poll, ("create_polls", HISTORY)),
    RehearsalCheck("poll end", post_checks.poll_end, ("create_polls", HISTORY)),
    RehearsalCheck("forum", post_checks.forum),
    RehearsalCheck("deleted", post_checks.deleted),
    RehearsalCheck("no channel", post_checks.no_channel),
    RehearsalCheck("no content", post_checks.no_content),
)
