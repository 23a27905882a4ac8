"""The conditions under which this process does its job, each met or not, with a sentence."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.db.errors import DatabaseUnavailableError
from weekbot.delivery.dispatcher import TICK
from weekbot.delivery.outage import Outage
from weekbot.delivery.traffic import Traffic
from weekbot.discord_io.circuit_breaker import CircuitBreaker
from weekbot.discord_io.rate_limits import RateLimits
from weekbot.runtime import loop
from weekbot.runtime.clock import Clock
from weekbot.runtime.ttl_cache import TtlCache
from weekbot.store.reports.backlog import Backlog

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0  # for the database; clients such as the image's health check wait four
LOOK_SECONDS = 5.0  # a look at the database is valid for that long
LONGEST_SILENCE = timedelta(seconds=90)  # while something is due
LATEST_TICK = 3 * TICK  # since the last one
GRACE = timedelta(minutes=15)  # to record a delivery as missed: two attempts are at most twelve minutes apart
WRITABLE = "The database answers and is writable."
SENDS = "This process sends posts."
STANDS_BY = "This process is on standby: it answers members, and takes over sending when necessary."
NO_OTHER_PROGRAM = "No other program was seen using the bot's token."


@dataclass(frozen=True)
class Condition:
    met: bool
    says: str


@dataclass(frozen=True)
class Report:
    conditions: dict[str, Condition]
    backlog: Backlog | None  # None if the database doesn't answer
    at: datetime

    @property
    def ready(self) -> bool:
        return all(condition.met for condition in self.conditions.values())

    @property
    def longest_wait(self) -> timedelta:
        oldest = self.backlog.oldest if self.backlog else None
        return max(self.at - oldest, timedelta()) if oldest else timedelta()


@dataclass(frozen=True)
class Readiness:
    unconnected: Callable[[], Sequence[int] | None]  # the shards without a gateway; None before the first connection
    last_poll: Callable[[], float | None]  # the dispatcher's last look for work, on the event loop's clock
    backlog: TtlCache[Backlog]
    unwritable: Callable[[], str | None]  # a sentence on what keeps this process from writing to the database
    is_leader: Callable[[], bool]
    problems: Callable[[], int]  # in the content folder
    set_aside: Callable[[], Collection[str]]  # the topics that Discord refuses
    circuit_breaker: CircuitBreaker
    rate_limits: RateLimits
    traffic: Traffic
    outage: Outage
    commands: Callable[[], str | None]  # the reason why the slash commands aren't registered
    token: Callable[[], object | None]  # a recent sign that another program uses the bot's token
    clock: Clock
    catch_up: timedelta
    latest_tick: timedelta = LATEST_TICK

    async def report(self) -> Report:
        backlog, trouble = await self._backlog()
        trouble = self.unwritable() or trouble
        now, is_leader, last_poll = self.clock.now(), self.is_leader(), self.last_poll()
        conditions = {
            "gateway": gateway(self.unconnected()),
            "tick": tick(None if last_poll is None else timedelta(seconds=loop.now() - last_poll), self.latest_tick),
            "database": Condition(not trouble, trouble or WRITABLE),
            "deliveries": deliveries(backlog, now, self.catch_up, is_leader=is_leader),
            "leadership": Condition(True, SENDS if is_leader else STANDS_BY),
            "requests": self._requests(backlog, now, is_leader=is_leader),
            "commands": commands(self.commands()),
            "token": Condition(True, str(self.token() or NO_OTHER_PROGRAM)),
            "content": content(self.problems(), self.set_aside()),
        }
        return Report(conditions, backlog, now)

    def _requests(self, backlog: Backlog | None, now: datetime, *, is_leader: bool) -> Condition:
        oldest = backlog.oldest if backlog and is_leader else None
        waiting = min(now - oldest, self.traffic.silence) if oldest else timedelta()
        outage = self.outage.trouble if is_leader else None
        return requests(self.circuit_breaker.pause, self.rate_limits.pause, waiting, self.traffic.trouble, outage)

    async def _backlog(self) -> tuple[Backlog | None, str | None]:
        """Return the backlog, or a sentence on why it is unknown."""
        try:
            return await self.backlog.get(PATIENCE_SECONDS), None
        except TimeoutError:
            return None, f"The database did not answer within {PATIENCE_SECONDS:g} seconds. Check that it runs."
        except DatabaseUnavailableError as error:
            return None, f"The database cannot be used: {error.reason}. {error.remedy}"
        except Exception:
            log.exception("unexpected error while checking the database")
            return None, "The check of the database failed with an unexpected error, which is logged."


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
    finished = f"The last check for due work finished {round(since_last.total_seconds())} seconds ago."
    return Condition(True, finished) if since_last <= latest else Condition(False, f"{finished} Restart this process.")


def deliveries(backlog: Backlog | None, now: datetime, catch_up: timedelta, *, is_leader: bool) -> Condition:
    """Only the leader is responsible, and it knows nothing while the database doesn't answer."""
    if not is_leader or backlog is None or backlog.oldest is None or now - backlog.oldest <= catch_up + GRACE:
        return Condition(True, "This process knows of nothing that is overdue.")
    slot = f"{backlog.oldest:%Y-%m-%d %H:%M} UTC"
    return Condition(False, f"A delivery due {slot} is overdue by more than the catch-up time. The log shows why.")


def requests(
    refused: timedelta, asked: timedelta, waiting: timedelta, trouble: str | None, outage: str | None
) -> Condition:
    """Check that due posts, which have been `waiting` for that long without a successful request, get through.

    Met after too many refusals, as a restart would only forget their number, and if only posts fail, as in an `outage`.
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
    """Met in any case: posts don't need them, and their registration is retried."""
    unregistered = f"The slash commands are not registered yet: {trouble}. weekbot keeps trying."
    return Condition(True, unregistered if trouble else "Discord lists the slash commands of this version.")


def content(problems: int, set_aside: Collection[str]) -> Condition:
    """Met in any case: the last good content is loaded."""
    if problems:
        served = f"The content folder has {problems} problems, listed in the log; the last valid version is used."
        return Condition(True, served)
    if set_aside:
        slugs = ", ".join(sorted(set_aside))
        return Condition(True, f"Discord refuses {slugs}: until they are corrected, other topics are posted instead.")
    return Condition(True, "The content folder has no problems.")
