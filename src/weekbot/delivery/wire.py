"""What every request to Discord passes, discord.py's own ones and its repetitions included."""

import re
from collections.abc import Callable

import aiohttp

from weekbot.delivery.in_time import still_in_time
from weekbot.delivery.invalid_requests import InvalidRequests
from weekbot.delivery.outcomes import OutcomeUnknownError
from weekbot.delivery.pacing import Pace

_ANSWERS = re.compile(r"/(interactions|webhooks)/")
_OF_DELIVERIES = re.compile(r"/channels/\d+")
_GATEWAY = ("ws", "wss")

Heard = Callable[[int | None, bool], object]
"""Is told of each request how it was answered, None being not at all, and whether it waited for its turn."""


def watched(
    pace: Callable[[], Pace], invalid: InvalidRequests | None = None, heard: Heard = lambda _, __: None
) -> aiohttp.TraceConfig:
    """For a client's `http_trace`: requests wait for their turn, and those of a delivery are sent once.

    `pace` is asked for each request, as a process's share of the budget changes.

    Answers to members do not wait, as Discord does not count them, and are given also while too many requests are
    `invalid` for others to be made. discord.py repeats a request after 500, 502 and 504, though it may have been
    carried out. What a delivery asked for is for the ledger to repeat, which knows of it also after a restart, and
    pauses longer each time.
    """
    counted = invalid or InvalidRequests()

    async def start(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if not _ANSWERS.search(request.url.path):
            await pace().turn()
            still_in_time()
            if request.url.scheme not in _GATEWAY:  # over it members are heard
                counted.not_too_many()

    async def end(_: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        status, path = request.response.status, request.url.path
        counted.answered(status, shared=request.response.headers.get("X-RateLimit-Scope") == "shared")
        heard(status, not _ANSWERS.search(path))
        if status >= 500 and _OF_DELIVERIES.search(path):
            request.response.close()
            raise OutcomeUnknownError(f"Discord has trouble ({status})")

    async def fail(_: object, __: object, request: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(request.exception, OutcomeUnknownError):
            heard(None, not _ANSWERS.search(request.url.path))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(fail)
    return trace
