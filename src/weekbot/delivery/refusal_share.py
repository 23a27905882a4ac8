"""How many of the refusals that Discord counts against the bot one server may cause."""

from collections import defaultdict, deque
from datetime import timedelta

from weekbot.delivery.outcomes import NotSentError
from weekbot.language import N_
from weekbot.loop import now

MOST = 25  # in ten minutes: two hundred servers at their worst leave the others' posts alone
WINDOW_SECONDS = 600.0
TOO_MANY = N_("Discord refused too many posts in this server; weekbot tries no more for some minutes")


class RefusalShare:
    """Counts each server's on a clock that nobody can set."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._refused: dict[int, deque[float]] = defaultdict(deque)

    def note(self, guild_id: int) -> None:
        """Discord refused a post in the server."""
        self._refused[guild_id].append(now())

    def check(self, guild_id: int) -> None:
        """Raises NotSentError if the server has used up its share, with how long that lasts."""
        recent = self._refused.get(guild_id)
        while recent and recent[0] <= now() - WINDOW_SECONDS:
            recent.popleft()
        if not recent:
            self._refused.pop(guild_id, None)
        elif len(recent) >= self._most:
            raise NotSentError(TOO_MANY, timedelta(seconds=recent[0] + WINDOW_SECONDS - now()))
