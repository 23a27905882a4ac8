"""Polls of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from .payload import Payload

LAYOUT: Final = 1
DEFAULT_HOURS: Final = 24


@dataclass
class Poll:
    """A question, its answers by their IDs from 1 on, and the votes."""

    question: Payload
    answers: dict[int, Payload]
    allow_multiselect: bool
    expires_at: datetime
    ended: bool = False
    votes: dict[int, set[int]] = field(default_factory=dict)

    @classmethod
    def begin(cls, body: Payload, now: datetime) -> Poll:
        """Create a poll from a request."""
        answers = {number: answer["poll_media"] for number, answer in enumerate(body["answers"], 1)}
        expires_at = now + timedelta(hours=body.get("duration") or DEFAULT_HOURS)
        return cls(body["question"], answers, bool(body.get("allow_multiselect")), expires_at)

    def vote(self, member_id: int, answer_id: int) -> None:
        """Add a member's vote for an answer, beside any other votes."""
        self.votes.setdefault(answer_id, set()).add(member_id)

    def payload(self, own_id: int) -> Payload:
        """Return the poll as the account with this ID sees it."""
        return {
            "question": self.question,
            "answers": [{"answer_id": number, "poll_media": media} for number, media in self.answers.items()],
            "expiry": self.expires_at.isoformat(),
            "allow_multiselect": self.allow_multiselect,
            "layout_type": LAYOUT,
            "results": {"answer_counts": self._counts(own_id), "is_finalized": self.ended},
        }

    def _counts(self, own_id: int) -> list[Payload]:
        # Discord omits answers without votes.
        counted = sorted(self.votes.items())
        return [{"id": each, "count": len(voters), "me_voted": own_id in voters} for each, voters in counted]

    def result_embed(self) -> Payload:
        """Return the embed of the message about the poll's end."""
        total = sum(map(len, self.votes.values()))
        fields = {"poll_question_text": self.question["text"], "total_votes": str(total)}
        return {
            "type": "poll_result",
            "fields": [{"name": name, "value": value, "inline": False} for name, value in fields.items()],
        }
