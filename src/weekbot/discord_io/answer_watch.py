"""Detects that another program has answered an interaction which this process should have answered."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

MOST_KEPT = 1000  # interactions: an answer is given within fifteen minutes, mostly within a second
ANSWERED_ALREADY = 40060  # Discord's code
_CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback$")


@dataclass
class _Answer:
    is_own: Callable[[], bool]
    tries: int = 0


class AnswerWatch:
    """`notice` is called for each such interaction.

    Discord also refuses an answer as already given if an earlier attempt of this process got through, or if another
    process with the same database has taken over. Neither case counts.
    """

    def __init__(self, notice: Callable[[], object]) -> None:
        self._notice = notice
        self._answers: OrderedDict[int, _Answer] = OrderedDict()

    def begin(self, interaction_id: int, is_own: Callable[[], bool]) -> None:
        """Watch an interaction, which this process should answer as long as `is_own` returns True."""
        self._answers[interaction_id] = _Answer(is_own)
        if len(self._answers) > MOST_KEPT:
            self._answers.popitem(last=False)

    def sent(self, url: URL) -> None:
        """Count a request that is being sent, if it is an answer."""
        if answer := self._answer_at(url):
            answer.tries += 1

    def refused(self, url: URL, code: object) -> None:
        """Check a request that Discord has refused with this code."""
        answer = self._answer_at(url)
        if code == ANSWERED_ALREADY and answer and answer.tries == 1 and answer.is_own():
            self._notice()

    def _answer_at(self, url: URL) -> _Answer | None:
        found = _CALLBACK.search(url.path)
        return self._answers.get(int(found[1])) if found else None
