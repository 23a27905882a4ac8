"""What every request to Discord passes, discord.py's own ones and its repetitions included."""

import re

import aiohttp

from weekbot.delivery.outcomes import OutcomeUnknownError
from weekbot.delivery.pacing import Pace

_ANSWERS = re.compile(r"/(interactions|webhooks)/")
_FORUM_POSTS = re.compile(r"/channels/\d+/threads$")


def watched(pace: Pace) -> aiohttp.TraceConfig:
    """For a client's `http_trace`: requests wait for their turn, and a forum post is sent once.

    Answers to members do not wait, as Discord does not count them. discord.py repeats a request after 500, 502 and 504.
    A message is recognised by its nonce, but a forum post has none, and may stand already: its outcome is unknown.
    """

    async def start(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if not _ANSWERS.search(request.url.path):
            await pace.turn()

    async def end(_: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        if request.method == "POST" and request.response.status >= 500 and _FORUM_POSTS.search(request.url.path):
            request.response.close()
            raise OutcomeUnknownError(f"Discord has trouble ({request.response.status})")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return trace
