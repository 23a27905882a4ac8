"""Mapping of discord.py's errors to delivery errors: only error codes that Discord means as final are permanent."""

import logging
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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
MAX_CHARACTERS = 200  # of Discord's message in a reason
REFUSED = N_("Discord refused it")


@contextmanager
def map_errors() -> Iterator[None]:
    """Turn discord.py's errors into delivery errors. If it can't parse a response, the outcome is ambiguous."""
    try:
        yield
    except discord.RateLimited as error:
        raise RateLimitedError(timedelta(seconds=error.retry_after)) from error
    except discord.HTTPException as error:
        raise _http_error(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("discord.py can't parse a response: %r (%s)", error, raised_at(error))
        raise UnreadableAnswerError(type(error).__name__) from error


def expect_list(payload: object) -> list[Any]:
    """Raises ValueError if a payload isn't a list: an empty object would pass for an empty list."""
    if not isinstance(payload, list):
        raise ValueError(f"{type(payload).__name__} instead of a list")
    return payload


class SuppressCodes(AbstractContextManager[None, bool]):
    """Like `contextlib.suppress`, for Discord's error codes."""

    def __init__(self, *codes: int) -> None:
        self._codes = codes

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, discord.HTTPException) and error.code in self._codes


def connection_error(error: BaseException) -> RetryableError | AmbiguousError:
    if isinstance(error, aiohttp.ClientConnectorError):
        return RetryableError(N_("Discord cannot be reached"))
    return AmbiguousError(_detailed(N_("the connection to Discord was cut"), describe(error)))


def server_error(status: int) -> AmbiguousError:
    return AmbiguousError(_detailed(N_("Discord is having problems"), status))


def _http_error(error: discord.HTTPException) -> Exception:
    if error.status >= 500:
        return server_error(error.status)
    if error.status in (401, 429):
        return RetryableError(_detailed(N_("Discord isn't accepting requests right now"), error.status))
    if error.code == MESSAGE_GONE:
        return GoneError()
    if error.code in _REASONS:
        return PermanentError(_REASONS[error.code])
    if not error.code:
        return AmbiguousError(_detailed(REFUSED, error.status))
    message = textwrap.shorten(error.text, MAX_CHARACTERS, placeholder=" …")  # Discord lists each invalid field
    if error.code in _CONTENT_CODES:
        return RefusedContentError(f"{REFUSED}: {message}")
    if error.code in _PERMANENT_CODES:
        return PermanentError(f"{REFUSED}: {message}")
    return RetryableError(_detailed(REFUSED, f"{error.code}: {message}"))


def _detailed(reason: str, detail: object) -> str:
    """Join the two in the format that `Language.reason` splits."""
    return f"{reason} ({detail})"


_REASONS = {
    UNKNOWN_CHANNEL: CHANNEL_GONE,
    MISSING_ACCESS: CHANNEL_UNSEEN,
    50013: PERMISSION_MISSING,
    THREAD_ARCHIVED: N_("the thread is archived and weekbot may not open it"),
    TOO_MANY_PINS: N_("the channel has as many pins as Discord allows"),
    40067: N_("the forum requires a tag; give it one that weekbot may use"),
}
_PERMANENT_CODES = {  # retrying doesn't change them
    UNKNOWN_SERVER,
    10011,  # unknown role
    10087,  # unknown forum tag
    ALREADY_PUBLISHED,
    50005,  # message by another user
    NOT_A_TEXT_CHANNEL,
    50009,  # the server's verification level is too high
    50019,  # message of another channel
    50021,  # system message
    50024,  # not possible in this type of channel
    50068,  # not possible with this type of message
    160002,  # lacks permission to read the history
    THREAD_EXISTS,
    160005,  # the thread is locked
    200000,  # blocked by AutoMod
    200001,  # title blocked by AutoMod
}
_CONTENT_CODES = {
    40005,  # request entity too large
    50006,  # empty message
    50035,  # invalid form body
    240000,  # harmful links
}
