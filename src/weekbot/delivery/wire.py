"""What every request to Discord passes, discord.py's own ones and its repetitions included."""

import asyncio
import re
from collections.abc import Callable

import aiohttp

from weekbot.delivery.in_time import still_in_time
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError
from weekbot.delivery.pacing import Pace

_ANSWERS = re.compile(r"/(interactions|webhooks)/")
_OF_DELIVERIES = re.compile(r"/channels/\d+")


def watched(pace: Callable[[], Pace], refused: asyncio.Event) -> aiohttp.TraceConfig:
    """For a client's `http_trace`: requests wait for their turn, and those of a delivery are sent once.

    `pace` is asked for each request, as a process's share of the budget changes. `refused` is set as soon as Discord
    does not accept the token, and from then on nothing more is asked with it.

    Answers to members do not wait, as Discord does not count them. discord.py repeats a request after 500, 502 and 504,
    though it may have been carried out. What a delivery asked for is for the ledger to repeat, which knows of it also
    after a restart, and pauses longer each time.
    """

    async def start(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if not _ANSWERS.search(request.url.path):
            await pace().turn()
            if refused.is_set():
                raise NotSentError("Discord does not take requests now")
            still_in_time()

    async def end(_: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        if request.response.status == 401 and not _ANSWERS.search(request.url.path):
            refused.set()
        if request.response.status >= 500 and _OF_DELIVERIES.search(request.url.path):
            request.response.close()
            raise OutcomeUnknownError(f"Discord has trouble ({request.response.status})")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return trace
