"""Detects other programs that use the bot's token: signs are logged, counted, and kept for `/ready` and the doctor.

weekbot's own processes share a database, and a rehearsal uses ids of its own, so neither leaves a sign.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from weekbot.runtime.clock import Clock
from weekbot.store.metadata import Metadata

log = logging.getLogger(__name__)

NOTICED = "other_token_user"
"""The name of the fact that stores the last sign."""
RECENT = timedelta(days=8)  # a program that only posts leaves a sign once a week
BETWEEN_LINES = timedelta(hours=1)  # between two log lines for the same kind of sign
CURE = "Stop it; if you don't know where it runs, reset the token in the developer portal (Bot, Reset Token)"


class Sign(StrEnum):
    """A sign of another program: an action that only another program with the token can have taken."""

    ANSWER = "answer"
    COMMANDS = "commands"
    POST = "post"
    SESSION = "session"

    @property
    def deed(self) -> str:
        return _DEEDS[self]


_DEEDS = {
    Sign.ANSWER: "it answered a member in weekbot's place",
    Sign.COMMANDS: "it replaced the slash commands",
    Sign.POST: "it posts weekly topics from a database of its own",
    Sign.SESSION: "it began a session at Discord's gateway",
}


@dataclass(frozen=True)
class Noticed:
    """A sign, and when it was seen."""

    sign: Sign
    at: datetime

    def __str__(self) -> str:
        return f"Another program uses the bot's token; {self.sign.deed} ({self.at:%Y-%m-%d %H:%M} UTC). {CURE}."


class TokenUsers:
    """Records signs of other programs. `count` is called with each sign."""

    def __init__(self, facts: Metadata, clock: Clock, count: Callable[[str], object] = lambda _: None) -> None:
        self._facts = facts
        self._clock = clock
        self._count = count
        self._last: Noticed | None = None
        self._saved: Noticed | None = None
        self._logged: dict[Sign, datetime] = {}

    def notice(self, sign: Sign) -> None:
        """Record a sign that was seen just now."""
        now = self._clock.now()
        self._last = Noticed(sign, now)
        self._count(sign)
        if now - self._logged.get(sign, now - BETWEEN_LINES) >= BETWEEN_LINES:
            self._logged[sign] = now
            log.error("another program uses the bot's token; %s. %s.", sign.deed, CURE)

    @property
    def recent(self) -> Noticed | None:
        """The last sign, unless it is too old."""
        return _if_recent(self._last, self._clock.now())

    async def load(self) -> None:
        """Load the sign that an earlier process stored, unless this one has seen one itself."""
        self._last = self._last or await kept(self._facts)

    async def save(self) -> None:
        """Store the last sign, if it is new."""
        if self._last and self._last != self._saved:
            await self._facts.put(NOTICED, json.dumps([self._last.sign, self._last.at.isoformat()]))
            self._saved = self._last


async def kept(facts: Metadata, now: datetime | None = None) -> Noticed | None:
    """The stored sign; None if it is too old, or was written by a later version."""
    try:
        sign, at = json.loads(await facts.get(NOTICED) or "[]")
        noticed = Noticed(Sign(sign), datetime.fromisoformat(at))
    except ValueError:
        return None
    return _if_recent(noticed, now) if now else noticed


def _if_recent(noticed: Noticed | None, now: datetime) -> Noticed | None:
    return noticed if noticed and now - noticed.at < RECENT else None
