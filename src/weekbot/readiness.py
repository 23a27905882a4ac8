"""Whether this process does what it is there for, condition by condition, each with a sentence."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.clock import Clock
from weekbot.delivery.dispatch import TICK
from weekbot.delivery.invalid_requests import InvalidRequests
from weekbot.delivery.outage import Outage
from weekbot.delivery.rate_limits import RateLimits
from weekbot.delivery.traffic import Traffic
from weekbot.loop import now
from weekbot.recent import Recent
from weekbot.store.away import DatabaseAwayError
from weekbot.store.backlog import Backlog

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0  # with the database: who asks, such as the image's health check, waits four
LOOK_SECONDS = 5.0  # so long a look at the database holds
LONGEST_SILENCE = timedelta(seconds=90)  # while something is due
LATEST_TICK = 3 * TICK  # since the last one
GRACE = timedelta(minutes=15)  # to record as missed what is too late: two attempts are twelve minutes apart at most


@dataclass(frozen=True)
class Condition:
    met: bool
    says: str


@dataclass(frozen=True)
class Report:
    """`backlog` is None where the database does not answer."""

    conditions: dict[str, Condition]
    backlog: Backlog | None
    at: datetime

    @property
    def ready(self) -> bool:
        return all(condition.met for condition in self.conditions.values())

    @property
    def longest_wait(self) -> timedelta:
        """Since the earliest slot that waits."""
        oldest = self.backlog.oldest if self.backlog else None
        return max(self.at - oldest, timedelta()) if oldest else timedelta()


@dataclass(frozen=True)
class Readiness:
    """`unwritable` is a sentence on what an operator has to change before this process can write to the database;
    `unconnected` are the shards without a gateway, None before the first connection; `last_look` is the dispatcher's
    last one for work on the event loop's clock, None before the first; `problems` are those of the content folder;
    `set_aside` are topics that Discord refuses; `commands` is what keeps the slash commands from being registered;
    `token` is a recent sign that another program uses the bot's token.
    """

    unconnected: Callable[[], Sequence[int] | None]
    last_look: Callable[[], float | None]
    backlog: Recent[Backlog]
    unwritable: Callable[[], str | None]
    sends: Callable[[], bool]
    problems: Callable[[], int]
    set_aside: Callable[[], Collection[str]]
    invalid: InvalidRequests
    limits: RateLimits
    traffic: Traffic
    outage: Outage
    commands: Callable[[], str | None]
    token: Callable[[], object | None]
    clock: Clock
    catch_up: timedelta
    latest_tick: timedelta = LATEST_TICK

    async def report(self) -> Report:
        backlog = await self._backlog()
        found = backlog if isinstance(backlog, Backlog) else None
        now, sends = self.clock.now(), self.sends()
        conditions = {
            "gateway": gateway(self.unconnected()),
            "tick": tick(self._since_last_look(), self.latest_tick),
            "database": database(self.unwritable() or (None if isinstance(backlog, Backlog) else backlog)),
            "deliveries": deliveries(found, now, self.catch_up, sends=sends),
            "duty": duty(sends=sends),
            "requests": self._requests(found, now, sends=sends),
            "commands": commands(self.commands()),
            "token": token(self.token()),
            "content": content(self.problems(), self.set_aside()),
        }
        return Report(conditions, found, now)

    def _requests(self, backlog: Backlog | None, now: datetime, *, sends: bool) -> Condition:
        oldest = backlog.oldest if backlog and sends else None
        waiting = min(now - oldest, self.traffic.silence) if oldest else timedelta()
        return requests(
            self.invalid.pause, self.limits.pause, waiting, self.traffic.trouble, self.outage.trouble if sends else None
        )

    async def _backlog(self) -> Backlog | str:
        """Or why there is none, in a sentence."""
        try:
            return await self.backlog.get(PATIENCE_SECONDS)
        except TimeoutError:
            return f"The database did not answer within {PATIENCE_SECONDS:g} seconds. Check that it runs."
        except DatabaseAwayError as error:
            return f"The database cannot be used: {error.reason}. {error.cure}"
        except Exception:
            log.exception("unexpected error in a look at the database")
            return "The check of the database failed with an unexpected error, which is logged."

    def _since_last_look(self) -> timedelta | None:
        last = self.last_look()
        return None if last is None else timedelta(seconds=now() - last)


def gateway(unconnected: Sequence[int] | None) -> Condition:
    if unconnected is None:
        return Condition(False, "Not connected to Discord's gateway yet; the log shows why.")
    if unconnected:
        named = ", ".join(map(str, unconnected))
        return Condition(False, f"Not connected to Discord's gateway: shard {named}. It reconnects automatically.")
    return Condition(True, "All shards of this process are connected.")


def tick(since_last: timedelta | None, latest: timedelta) -> Condition:
    if since_last is None:
        return Condition(False, "No check for due work has finished yet.")
    seconds = round(since_last.total_seconds())
    if since_last > latest:
        return Condition(False, f"The last check for due work finished {seconds} seconds ago. Restart this process.")
    return Condition(True, f"The last check for due work finished {seconds} seconds ago.")


def database(trouble: str | None) -> Condition:
    if trouble is None:
        return Condition(True, "The database answers and is writable.")
    return Condition(False, trouble)


def deliveries(backlog: Backlog | None, now: datetime, catch_up: timedelta, *, sends: bool) -> Condition:
    """What waits is the affair of the process that sends, and unknown while the database does not answer."""
    if not sends or backlog is None or backlog.oldest is None or now - backlog.oldest <= catch_up + GRACE:
        return Condition(True, "This process knows of nothing that is overdue.")
    slot = f"{backlog.oldest:%Y-%m-%d %H:%M} UTC"
    return Condition(False, f"A delivery due {slot} is overdue by more than the catch-up time. The log shows why.")


def duty(*, sends: bool) -> Condition:
    if sends:
        return Condition(True, "This process sends posts.")
    return Condition(True, "This process is on standby: it answers members, and takes over sending when necessary.")


def requests(
    refused: timedelta, asked: timedelta, waiting: timedelta, trouble: str | None, outage: str | None
) -> Condition:
    """Whether due posts get through. They have been `waiting` for that long while no request succeeded.

    Discord may have `asked` to wait. After too many refusals it is met in any case, as a restart would only forget
    what was counted. It is also met if Discord answers and only posts fail, as in an `outage` of a part of it.
    """
    met = waiting <= LONGEST_SILENCE
    if refused:
        seconds = round(refused.total_seconds())
        return Condition(True, f"Discord refused too many requests: for {seconds} seconds, only members are answered.")
    if asked:
        return Condition(met, f"Discord paused all requests for another {round(asked.total_seconds())} seconds.")
    if not met:
        seconds, why = round(waiting.total_seconds()), trouble or "no request was made; restart this process"
        return Condition(False, f"No request has reached Discord for {seconds} seconds, and posts are due: {why}.")
    if outage:
        return Condition(True, f"No posts get through: {outage}.")
    if trouble:
        return Condition(True, f"The last request failed: {trouble}.")
    return Condition(True, "Discord accepts this process's requests.")


def commands(trouble: str | None) -> Condition:
    """Met in any case: posts need none, and they are registered again and again."""
    if trouble:
        return Condition(True, f"The slash commands are not registered yet: {trouble}. weekbot keeps trying.")
    return Condition(True, "Discord lists the slash commands of this version.")


def token(sign: object | None) -> Condition:
    """Met in any case, as a restart would not stop the other program."""
    return Condition(True, str(sign) if sign else "No other program was seen using the bot's token.")


def content(problems: int, set_aside: Collection[str]) -> Condition:
    """Met in any case, as there is content to serve."""
    if problems:
        return Condition(
            True, f"The content folder has {problems} problems, listed in the log; the last valid version is used."
        )
    if set_aside:
        slugs = ", ".join(sorted(set_aside))
        return Condition(True, f"Discord refuses {slugs}: until they are corrected, other topics are posted instead.")
    return Condition(True, "The content folder has no problems.")
