"""What can become of a request to Discord, told apart by what may be done next."""

from datetime import timedelta

from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError

UNREADABLE = N_("Discord's answer cannot be read")
ASKED_TO_WAIT = N_("Discord asked weekbot to wait")


class PermanentError(WeekbotError):
    """Discord will not have it (no access, no such channel, a rule of the channel): trying again changes nothing."""


class GoneError(PermanentError):
    """the message is gone"""


class RefusedContentError(PermanentError):
    """Discord will not have what the post says, wherever it is posted."""


class RetryableError(WeekbotError):
    """It certainly was not posted, and may be later; `after` is how long Discord asks to wait."""

    def __init__(self, reason: str, after: timedelta = timedelta()) -> None:
        super().__init__(reason)
        self.after = after


class RateLimitedError(RetryableError):
    """Discord asks to wait: with this request and its like, or with all of them, `everywhere`."""

    def __init__(self, after: timedelta, *, everywhere: bool = False) -> None:
        super().__init__(ASKED_TO_WAIT, after)
        self.everywhere = everywhere


class AmbiguousError(WeekbotError):
    """It may or may not have been posted: the connection was cut, or no clear answer came."""


class UnreadableAnswerError(AmbiguousError):
    """What answered is not Discord, or its answer was cut or in another form."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{UNREADABLE} ({detail})")


class HistoryUnreadableError(WeekbotError):
    """The channel's history cannot be searched, so nobody can tell whether it was posted."""
