"""Discord's error responses."""

from dataclasses import dataclass
from typing import Final

from .payload import Payload

CODES: Final = {
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    30003: (400, "Maximum number of pins reached for the channel (250)"),
    40033: (400, "This message has already been crossposted"),
    40060: (400, "Interaction has already been acknowledged."),
    40067: (400, "A tag is required to create a forum post in this channel"),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50240: (
        400,
        "You cannot remove this app's Entry Point command in a bulk update operation. Please include the Entry Point "
        "command in your update request or delete it separately.",
    ),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
    520001: (400, "Poll expired"),
    520003: (400, "Cannot edit a poll message"),
    520006: (400, "Cannot expire a non-poll message"),
    160006: (400, "Maximum number of active threads reached"),
}


@dataclass
class ApiError(Exception):
    """An error response with Discord's code, and with the errors of an invalid form."""

    code: int
    errors: Payload | None = None

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return CODES[self.code][0]

    def payload(self) -> Payload:
        """Return the body."""
        errors = {"errors": self.errors} if self.errors else {}
        return {"code": self.code, "message": CODES[self.code][1], **errors}
