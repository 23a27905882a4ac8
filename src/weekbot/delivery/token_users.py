"""Detects other programs that use the bot's token; signs are logged, counted and stored for `/ready` and the doctor."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from weekbot.runtime.clock import Clock
from weekbot.store.metadata import Metadata

log = logging.getLogger(__name__)

METADATA_KEY = "other_token_user"  # stores the last sign
RECENT = timedelta(days=8)  # a program that only posts leaves a sign once a week
LOG_INTERVAL = timedelta(hours=1)  # for the same kind of sign
REMEDY = "Stop it; if you don't know where it runs, reset the token in the developer portal (Bot, Reset Token)"


class Sign(StrEnum):
    """An action of another program: weekbot's processes share a database, and a rehearsal uses its own ids."""

    ANSWER = "answer"
    COMMANDS = "commands"
    POST = "post"
    SESSION = "session"


DESCRIPTIONS = {
    Sign.ANSWER: "it answered a member in weekbot's place",
    Sign.COMMANDS: "it replaced the slash commands",
    Sign.POST: "it posts weekly topics from a database of its own",
    Sign.SESSION: "it started a session at Discord's gateway",
}


@dataclass(frozen=True)
class RecordedSign:
    sign: Sign
    at: datetime

    def __str__(self) -> str:
        seen = f"{DESCRIPTIONS[self.sign]} ({self.at:%Y-%m-%d %H:%M} UTC)"
        return f"Another program uses the bot's token; {seen}. {REMEDY}."


class TokenUsers:
    """Records signs of other programs. `on_sign` is called with each sign."""

    def __init__(self, metadata: Metadata, clock: Clock, on_sign: Callable[[str], object] = lambda _: None) -> None:
        self._metadata = metadata
        self._clock = clock
        self._on_sign = on_sign
        self._last: RecordedSign | None = None
        self._saved: RecordedSign | None = None
        self._logged: dict[Sign, datetime] = {}

    def record(self, sign: Sign) -> None:
        now = self._clock.now()
        self._last = RecordedSign(sign, now)
        self._on_sign(sign)
        if now - self._logged.get(sign, now - LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged[sign] = now
            log.error("another program uses the bot's token; %s. %s.", DESCRIPTIONS[sign], REMEDY)

    @property
    def recent(self) -> RecordedSign | None:
        return self._last if self._last and self._clock.now() - self._last.at < RECENT else None

    async def load(self) -> None:
        """Load the sign that an earlier process stored, unless this one has seen one itself."""
        self._last = self._last or await stored_sign(self._metadata)

    async def save(self) -> None:
        if self._last and self._last != self._saved:
            await self._metadata.put(METADATA_KEY, json.dumps([self._last.sign, self._last.at.isoformat()]))
            self._saved = self._last


async def stored_sign(metadata: Metadata, now: datetime | None = None) -> RecordedSign | None:
    """The stored sign; None if it is too old, or was written by a later version."""
    try:
        sign, at = json.loads(await metadata.get(METADATA_KEY) or "[]")
        recorded = RecordedSign(Sign(sign), datetime.fromisoformat(at))
    except ValueError:
        return None
    return recorded if now is None or now - recorded.at < RECENT else None
