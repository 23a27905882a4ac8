"""What every request to Discord passes, discord.py's own ones and its repetitions included."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from weekbot.delivery.in_time import still_in_time
from weekbot.delivery.invalid_requests import InvalidRequests
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError
from weekbot.delivery.pacing import Pace

_ANSWERS = re.compile(r"/(interactions|webhooks)/")
_OF_DELIVERIES = re.compile(r"/channels/\d+")
_GATEWAY = ("ws", "wss")

Heard = Callable[[int | None, bool], object]
"""Is told of each request how it was answered, None being not at all, and whether it waited for its turn."""


def watched(
    pace: Callable[[], Pace],
    refused: asyncio.Event,
    invalid: InvalidRequests | None = None,
    heard: Heard = lambda _, __: None,
) -> aiohttp.TraceConfig:
    """For a client's `http_trace`: requests wait for their turn, and those of a delivery are sent once.

    `pace` is asked for each request, as a process's share of the budget changes. `refused` is set as soon as Discord
    does not accept the token, and from then on nothing more is asked with it.

    Answers to members do not wait, as Discord does not count them, and are given also while too many requests are
    `invalid` for others to be made. discord.py repeats a request after 500, 502 and 504, though it may have been
    carried out. What a delivery asked for is for the ledger to repeat, which knows of it also after a restart, and
    pauses longer each time.
    """
    wire, trace = _Wire(pace, refused, invalid or InvalidRequests(), heard), aiohttp.TraceConfig()
    trace.on_request_start.append(wire.start)
    trace.on_request_end.append(wire.end)
    trace.on_request_exception.append(wire.fail)
    return trace


@dataclass(frozen=True)
class _Wire:
    pace: Callable[[], Pace]
    refused: asyncio.Event
    invalid: InvalidRequests
    heard: Heard

    async def start(self, _: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if _is_answer(request.url):
            return
        await self.pace().turn()
        if self.refused.is_set():
            raise NotSentError("Discord does not take requests now")
        still_in_time()
        if request.url.scheme not in _GATEWAY:  # over it members are heard
            self.invalid.not_too_many()

    async def end(self, _: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        status, is_answer = request.response.status, _is_answer(request.url)
        self.invalid.answered(status, shared=request.response.headers.get("X-RateLimit-Scope") == "shared")
        self.heard(status, not is_answer)
        if status == 401 and not is_answer:
            self.refused.set()
        if status >= 500 and _OF_DELIVERIES.search(request.url.path):
            request.response.close()
            raise OutcomeUnknownError(f"Discord has trouble ({status})")

    async def fail(self, _: object, __: object, request: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(request.exception, OutcomeUnknownError):  # which was heard of
            self.heard(None, not _is_answer(request.url))


def _is_answer(url: URL) -> bool:
    return bool(_ANSWERS.search(url.path))
