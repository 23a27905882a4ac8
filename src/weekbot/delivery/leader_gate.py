"""Restricts work to the leader."""

from weekbot.runtime.leadership import Leadership


class LeaderGate:
    """True while this process is the leader and has learnt, in its current term, which servers the bot is in."""

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership
        self._open_term = 0

    def __call__(self) -> bool:
        return self.leadership.is_leader() and self._open_term == self.leadership.term

    def open(self) -> None:
        self._open_term = self.leadership.term
