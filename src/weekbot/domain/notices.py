"""Notices to a server's moderators about one of its subscriptions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from weekbot.domain.subscriptions import Subscription


class NoticeKind(StrEnum):
    BLOCKED = "blocked"  # a post was refused
    WARNED = "warned"  # the next post would be refused or incomplete
    ROLE_GONE = "role_gone"  # posts mention nobody any more, because the role was deleted


@dataclass(frozen=True)
class Notice:
    """`attempts` includes the current one. A notice with a `first_attempt_at` may have been sent already."""

    id: str
    subscription: Subscription
    kind: NoticeKind
    reason: str
    created_at: datetime
    attempts: int
    first_attempt_at: datetime | None


@dataclass(frozen=True)
class Checked:
    """The result of a subscription's check: the problem, if any, and when to check again if before its slot."""

    subscription: Subscription
    warning: str | None
    again_at: datetime | None
