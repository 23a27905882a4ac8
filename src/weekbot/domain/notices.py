"""Notices: what a server's moderators need to know about one of its weekly topics."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from weekbot.domain.subscriptions import Subscription


class NoticeKind(StrEnum):
    BLOCKED = "blocked"  # a post was refused
    WARNED = "warned"  # a post would be refused, or not be as it should
    ROLE_GONE = "role_gone"  # posts ping nobody any more, as the role was deleted


@dataclass(frozen=True)
class Notice:
    """Where `first_attempt_at` is set it may have been told already; `attempts` counts the one that it is held for."""

    id: str
    subscription: Subscription
    kind: NoticeKind
    reason: str
    created_at: datetime
    attempts: int
    first_attempt_at: datetime | None


@dataclass(frozen=True)
class Checked:
    """What a look at a subscription found wrong, if anything, and when to look again, if before its slot."""

    subscription: Subscription
    warning: str | None
    again_at: datetime | None
