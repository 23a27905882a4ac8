"""Notices when another program has answered an interaction that is this process's to answer."""

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

    Discord refuses an answer as given already also if an earlier try of this process got through, or if another process
    with the same database took over meanwhile: neither counts.
    """

    def __init__(self, notice: Callable[[], object]) -> None:
        self._notice = notice
        self._answers: OrderedDict[int, _Answer] = OrderedDict()

    def begin(self, interaction_id: int, is_own: Callable[[], bool]) -> None:
        """This process answers the interaction, as long as `is_own` says that it does."""
        self._answers[interaction_id] = _Answer(is_own)
        if len(self._answers) > MOST_KEPT:
            self._answers.popitem(last=False)

    def sent(self, url: URL) -> None:
        """A request leaves, which may be an answer."""
        if answer := self._answer_at(url):
            answer.tries += 1

    def refused(self, url: URL, code: object) -> None:
        """Discord has refused a request with that code."""
        answer = self._answer_at(url)
        if code == ANSWERED_ALREADY and answer and answer.tries == 1 and answer.is_own():
            self._notice()

    def _answer_at(self, url: URL) -> _Answer | None:
        found = _CALLBACK.search(url.path)
        return self._answers.get(int(found[1])) if found else None
