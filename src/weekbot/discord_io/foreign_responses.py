"""Detection of interactions that another program has answered in place of this process."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

MAX_WATCHED = 1000  # interactions: a response comes within fifteen minutes, mostly within a second
ALREADY_ACKNOWLEDGED = 40060  # Discord's error code
_CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback$")


@dataclass
class _Interaction:
    is_own: Callable[[], bool]
    requests: int = 0


class ForeignResponseDetector:
    """Calls `on_detected` for each such interaction.

    It isn't called if this process or one that has taken over may have responded itself: a second response is refused.
    """

    def __init__(self, on_detected: Callable[[], object] = lambda: None) -> None:
        self._on_detected = on_detected
        self._interactions: OrderedDict[int, _Interaction] = OrderedDict()

    def watch(self, interaction_id: int, is_own: Callable[[], bool]) -> None:
        """Watch an interaction, which this process should answer as long as `is_own` returns True."""
        self._interactions[interaction_id] = _Interaction(is_own)
        if len(self._interactions) > MAX_WATCHED:
            self._interactions.popitem(last=False)

    def request_sent(self, url: URL) -> None:
        if interaction := self._find(url):
            interaction.requests += 1

    def request_refused(self, url: URL, code: object) -> None:
        interaction = self._find(url)
        if code == ALREADY_ACKNOWLEDGED and interaction and interaction.requests == 1 and interaction.is_own():
            self._on_detected()

    def _find(self, url: URL) -> _Interaction | None:
        found = _CALLBACK.search(url.path)
        return self._interactions.get(int(found[1])) if found else None
