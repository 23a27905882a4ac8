"""Discord's errors, told apart by what may be done next.

Only what Discord itself says, by a code that is known to be final, refuses a request for good. Anything else, such as a
page of a proxy's, may pass, and is tried again.
"""

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import discord

from weekbot.delivery.errors import (
    AmbiguousError,
    GoneError,
    PermanentError,
    RateLimitedError,
    RefusedContentError,
    RetryableError,
    UnreadableAnswerError,
)
from weekbot.i18n.language import N_
from weekbot.runtime.errors import describe, raised_at

log = logging.getLogger(__name__)

CHANNEL_GONE = N_("the channel is gone")
CHANNEL_UNSEEN = N_("weekbot cannot see the channel; give it View Channel")
PERMISSION_MISSING = N_("weekbot lacks a permission here; `/weekly status` names it")
THREAD_EXISTS, ALREADY_PUBLISHED, MESSAGE_GONE, THREAD_ARCHIVED, NOT_A_TEXT_CHANNEL = 160004, 40033, 10008, 50083, 50008
TOO_MANY_PINS, UNKNOWN_CHANNEL, UNKNOWN_SERVER, MISSING_ACCESS = 30003, 10003, 10004, 50001
MOST_CHARACTERS = 200  # of what Discord says, in a reason
REFUSED = N_("Discord refused it")


@contextmanager
def map_errors() -> Iterator[None]:
    """Turn what discord.py raises into what may be done next.

    What it cannot make sense of is an answer that it did not expect: what was asked for may have been done.
    """
    try:
        yield
    except discord.RateLimited as error:
        raise RateLimitedError(timedelta(seconds=error.retry_after)) from error
    except discord.HTTPException as error:
        raise _http_error(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("discord.py cannot read an answer: %r (%s)", error, raised_at(error))
        raise UnreadableAnswerError(type(error).__name__) from error


def entries(answer: object) -> list[Any]:
    """A list that Discord answered. Raises ValueError for anything else, which would pass for an empty list."""
    if not isinstance(answer, list):
        raise ValueError(f"{type(answer).__name__} instead of a list")
    return answer


def connection_error(error: BaseException) -> RetryableError | AmbiguousError:
    """What becomes of a request without an answer."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return RetryableError(N_("Discord cannot be reached"))
    return AmbiguousError(_detailed(N_("the connection to Discord was cut"), describe(error)))


def server_error(status: int) -> AmbiguousError:
    return AmbiguousError(_detailed(N_("Discord has trouble"), status))


def _http_error(error: discord.HTTPException) -> Exception:
    if error.status >= 500:
        return server_error(error.status)
    if error.status in (401, 429):
        return RetryableError(_detailed(N_("Discord does not take requests now"), error.status))
    if error.code == MESSAGE_GONE:
        return GoneError()
    if error.code in _REASONS:
        return PermanentError(_REASONS[error.code])
    if error.code in _OF_CONTENT:
        return RefusedContentError(f"{REFUSED}: {_sentence(error.text)}")
    if error.code in _FINAL:
        return PermanentError(f"{REFUSED}: {_sentence(error.text)}")
    if error.code:  # Discord's own, and it did nothing
        return RetryableError(_detailed(REFUSED, f"{error.code}: {_sentence(error.text)}"))
    return AmbiguousError(_detailed(REFUSED, error.status))


def _sentence(text: str) -> str:
    """In one line that is short enough for a notice: Discord lists each part of a form that is wrong."""
    return textwrap.shorten(text, MOST_CHARACTERS, placeholder=" …")


def _detailed(reason: str, detail: object) -> str:
    """As `Language.reason` tells the two apart."""
    return f"{reason} ({detail})"


_REASONS = {
    UNKNOWN_CHANNEL: CHANNEL_GONE,
    MISSING_ACCESS: CHANNEL_UNSEEN,
    50013: PERMISSION_MISSING,
    50083: N_("the thread is archived and weekbot may not open it"),
    TOO_MANY_PINS: N_("the channel has as many pins as Discord allows"),
    40067: N_("the forum requires a tag; give it one that weekbot may use"),
}
_FINAL = frozenset(
    {
        UNKNOWN_SERVER,
        10011,  # unknown role
        10087,  # unknown forum tag
        40033,  # published already
        50005,  # another author's message
        50008,  # not a text channel
        50009,  # the server's verification level is too high
        50019,  # a message of another channel
        50021,  # a system message
        50024,  # not for this kind of channel
        50068,  # not for this kind of message
        160002,  # needs to read the history
        160004,  # the message has a thread
        160005,  # the thread is locked
        200000,  # the server's AutoMod
        200001,  # the server's AutoMod, for titles
    }
)
"""Discord's codes for what no repetition changes; it documents them as JSON error codes."""
_OF_CONTENT = frozenset(
    {
        40005,  # too large
        50006,  # an empty message
        50035,  # an invalid form
        240000,  # harmful links
    }
)
