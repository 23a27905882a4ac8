"""Polls, which are part of a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from .payload import Payload

LAYOUT: Final = 1
USUAL_HOURS: Final = 24


@dataclass
class Poll:
    """A question, its answers by their ids from 1 on, and who voted for which."""

    question: Payload
    answers: dict[int, Payload]
    allow_multiselect: bool
    expires_at: datetime
    ended: bool = False
    votes: dict[int, set[int]] = field(default_factory=dict)

    @classmethod
    def begin(cls, body: Payload, now: datetime) -> Poll:
        """Make a poll as a request says."""
        answers = {number: answer["poll_media"] for number, answer in enumerate(body["answers"], 1)}
        expires_at = now + timedelta(hours=body.get("duration") or USUAL_HOURS)
        return cls(body["question"], answers, bool(body.get("allow_multiselect")), expires_at)

    def vote(self, member_id: int, answer_id: int) -> None:
        """Let a member vote for an answer, besides any other one."""
        self.votes.setdefault(answer_id, set()).add(member_id)

    def payload(self, own_id: int) -> Payload:
        """Return it as the account with this id sees it."""
        return {
            "question": self.question,
            "answers": [{"answer_id": number, "poll_media": media} for number, media in self.answers.items()],
            "expiry": self.expires_at.isoformat(),
            "allow_multiselect": self.allow_multiselect,
            "layout_type": LAYOUT,
            "results": {"answer_counts": self._counts(own_id), "is_finalized": self.ended},
        }

    def _counts(self, own_id: int) -> list[Payload]:
        # Discord leaves out the answers without votes.
        counted = sorted(self.votes.items())
        return [{"id": each, "count": len(voters), "me_voted": own_id in voters} for each, voters in counted]

    def result_embed(self) -> Payload:
        """Return what the message says that tells of the end."""
        total = sum(map(len, self.votes.values()))
        fields = {"poll_question_text": self.question["text"], "total_votes": str(total)}
        return {
            "type": "poll_result",
            "fields": [{"name": name, "value": value, "inline": False} for name, value in fields.items()],
        }
