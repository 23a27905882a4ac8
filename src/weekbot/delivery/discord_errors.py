"""Discord's errors, told apart by what may be done next."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import aiohttp
import discord

from weekbot.delivery.outcomes import GoneError, NotSentError, OutcomeUnknownError, RefusedError
from weekbot.errors import said
from weekbot.language import N_

PERMISSION_MISSING = N_("weekbot lacks a permission here; `/weekly status` names it")
THREAD_EXISTS, ALREADY_PUBLISHED, MESSAGE_GONE, THREAD_ARCHIVED, NOT_A_TEXT_CHANNEL = 160004, 40033, 10008, 50083, 50008


@contextmanager
def errors_told_apart() -> Iterator[None]:
    """Turn what discord.py raises into what may be done next."""
    try:
        yield
    except discord.RateLimited as error:
        raise NotSentError("Discord asks to wait", timedelta(seconds=error.retry_after)) from error
    except discord.HTTPException as error:
        raise _http_error(error) from error
    except aiohttp.ClientConnectorError as error:
        raise NotSentError("Discord cannot be reached") from error
    except (aiohttp.ClientError, OSError) as error:
        raise OutcomeUnknownError(_detailed(N_("the connection to Discord was cut"), said(error))) from error


def _http_error(error: discord.HTTPException) -> Exception:
    if error.status >= 500:
        return OutcomeUnknownError(_detailed(N_("Discord has trouble"), error.status))
    if error.status in (401, 429):
        return NotSentError(_detailed(N_("Discord does not take requests now"), error.status))
    if error.code == MESSAGE_GONE:
        return GoneError()
    return RefusedError(_REASONS.get(error.code) or error.text or _detailed(N_("Discord refused it"), error.status))


def _detailed(reason: str, detail: object) -> str:
    """As `Language.reason` tells the two apart."""
    return f"{reason} ({detail})"


_REASONS = {
    10003: N_("the channel is gone"),
    50001: N_("weekbot cannot see the channel; give it View Channel"),
    50013: PERMISSION_MISSING,
    50083: N_("the thread is archived and weekbot may not open it"),
    40067: N_("the forum requires a tag; give it one that weekbot may use"),
}
