"""Delivery errors: the possible failures of a request to Discord, by what may be done next."""

from datetime import timedelta

from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError

UNREADABLE = N_("Discord's answer cannot be read")
ASKED_TO_WAIT = N_("Discord asked weekbot to wait")


class PermanentError(WeekbotError):
    """Discord refuses the request (no access, no such channel, a rule of the channel): a retry would fail, too."""


class GoneError(PermanentError):
    """the message is gone"""


class RefusedContentError(PermanentError):
    """Discord refuses the content of the post, in any channel."""


class RetryableError(WeekbotError):
    """Certainly nothing was posted, and a retry may succeed; `after` is how long Discord asks to wait."""

    def __init__(self, reason: str, after: timedelta = timedelta()) -> None:
        super().__init__(reason)
        self.after = after


class RateLimitedError(RetryableError):
    """Discord asks to wait with requests of this kind, or with all requests (`everywhere`)."""

    def __init__(self, after: timedelta, *, everywhere: bool = False) -> None:
        super().__init__(ASKED_TO_WAIT, after)
        self.everywhere = everywhere


class AmbiguousError(WeekbotError):
    """Something may have been posted: the connection was cut, or there was no clear answer."""


class UnreadableAnswerError(AmbiguousError):
    """The answer isn't from Discord, or it was cut off or has another form."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{UNREADABLE} ({detail})")


class HistoryUnreadableError(WeekbotError):
    """The channel's history can't be searched, so it is unknown whether something was posted."""
