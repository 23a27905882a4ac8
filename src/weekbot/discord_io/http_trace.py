"""The HTTP trace: every request to Discord passes it, and every answer, before discord.py makes anything of it.

Whatever asks for patience or a repetition ends the request here, as an error of `outcomes`: discord.py would sleep and
repeat while it holds the request, and a cancellation in between leaves it waiting for ever.
"""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import discord.http
import discord.webhook.async_
from discord import utils
from yarl import URL

from weekbot.delivery.deadline import NO_ANSWER, mark_sent, seconds_left
from weekbot.delivery.errors import AmbiguousError, RateLimitedError, RetryableError, UnreadableAnswerError
from weekbot.delivery.traffic import Traffic
from weekbot.discord_io.answer_watch import AnswerWatch
from weekbot.discord_io.circuit_breaker import CircuitBreaker
from weekbot.discord_io.errors import connection_error, server_error
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rate_limits import RateLimits

UNTOLD_PAUSE = timedelta(minutes=1)  # after a refusal that doesn't say how long it lasts, as Cloudflare's may
LONGEST_REQUEST_SECONDS = 30.0  # without a deadline of its own; aiohttp alone would wait for five minutes
JSON = "application/json"
_ANSWERS = re.compile(r"/(interactions|webhooks)/")
_GATEWAY = ("ws", "wss")

_sent_once: ContextVar[bool] = ContextVar("sent_once", default=False)

Heard = Callable[[int | None, bool], object]
"""Called with each request's status, None if it was not answered, and whether it waited for its turn."""
Observe = Callable[[str | None], object]


@dataclass(frozen=True)
class HttpTrace:
    """Requests wait for their turn, and are sent once.

    `pace` is called for each request, as a process's share of the budget changes. `refused` is set as soon as Discord
    does not accept the token, and from then on nothing more is asked with it. `observe` is called with each answer's
    `Date`.

    Answers to members do not wait, as Discord does not count them, and are given also during a pause of all requests
    and while too many are `invalid` for others to be made. What a delivery asked for is for the ledger to repeat,
    which knows of it also after a restart, and pauses longer each time.
    """

    pace: Callable[[], RateLimiter]
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    invalid: CircuitBreaker = field(default_factory=CircuitBreaker)
    limits: RateLimits = field(default_factory=RateLimits)
    heard: Heard = lambda _, __: None
    observe: Observe = lambda _: None
    traffic: Traffic | None = None
    answers: AnswerWatch | None = None

    def trace(self) -> aiohttp.TraceConfig:
        """For a client's `http_trace`."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self.start)
        trace.on_request_end.append(self.end)
        trace.on_request_exception.append(self.fail)
        return trace

    def use_in(self, client: discord.Client) -> None:
        """Have the client keep these limits and deadlines instead of discord.py's, and read JSON of any charset."""
        client.http.get_ratelimit = self.limits.bucket  # type: ignore[method-assign, assignment]
        client.http.request = partial(_in_time, client.http.request)  # type: ignore[method-assign]
        for module in (discord.http, discord.webhook.async_):
            module.json_or_text = _json_or_text  # type: ignore[attr-defined]

    async def start(self, _: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if _is_answer(request.url):
            if self.answers:
                self.answers.sent(request.url)
            return
        await self.pace().acquire()
        try:
            self._check(request.url)
        except RetryableError as error:
            self._failed(error)
            raise

    def _check(self, url: URL) -> None:
        """Raises RetryableError if the request must not leave."""
        if self.refused.is_set():
            raise RetryableError("Discord does not take requests now")
        if not _is_gateway(url):  # over it members are heard
            self.limits.check()
            self.invalid.not_too_many()
        mark_sent()

    def _failed(self, error: Exception) -> None:
        if self.traffic:
            self.traffic.failed(str(error))

    async def end(self, _: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        response, is_answer = request.response, _is_answer(request.url)
        self._count(response, is_answer=is_answer)
        self.observe(response.headers.get("Date"))
        if is_answer and self.answers and response.status == 400:
            self.answers.refused(request.url, _object(await response.text(errors="replace")).get("code"))
        if is_answer and response.status >= 500 and _sent_once.get():
            raise server_error(response.status)
        if is_answer or _is_gateway(request.url):
            return
        if response.status == 401 and response.content_type == JSON:  # a proxy's page says nothing about the token
            self.refused.set()
        await response.read()
        if error := await self._error(response):
            self._failed(error)
            raise error
        if self.traffic:
            self.traffic.answered()

    async def _error(self, response: aiohttp.ClientResponse) -> Exception | None:
        """What the answer means to whoever asked, unless it is for discord.py to read."""
        if response.status == 429:
            return self._limited(response, await response.text(errors="replace"))
        if response.status >= 500:
            return server_error(response.status)
        is_json = response.content_type == JSON or response.status == 204
        if not is_json and (response.ok or response.status == 401):
            return UnreadableAnswerError(response.content_type)
        return None

    def _count(self, response: aiohttp.ClientResponse, *, is_answer: bool) -> None:
        self.invalid.answered(response.status, shared=response.headers.get("X-RateLimit-Scope") == "shared")
        self.heard(response.status, not is_answer)

    def _limited(self, response: aiohttp.ClientResponse, text: str) -> RateLimitedError:
        after, everywhere = _asked(response, text)
        if everywhere:
            self.limits.pause_all(after)
        return RateLimitedError(after, everywhere=everywhere)

    async def fail(self, _: object, __: object, request: aiohttp.TraceRequestExceptionParams) -> None:
        error, is_answer = request.exception, _is_answer(request.url)
        if isinstance(error, (aiohttp.ClientError, OSError)):
            self.heard(None, not is_answer)
            if not is_answer and not _is_gateway(request.url):
                cut = connection_error(error)
                self._failed(cut)
                raise cut from error


@contextmanager
def sent_once() -> Iterator[None]:
    """Send an answer to a member only once: a 5xx raises AmbiguousError, where discord.py would send it again."""
    token = _sent_once.set(True)
    try:
        yield
    finally:
        _sent_once.reset(token)


async def _in_time(request: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    """Raises AmbiguousError if Discord leaves a request unanswered that has no deadline of its own."""
    if not math.isinf(seconds_left()):
        return await request(*args, **kwargs)
    try:
        async with asyncio.timeout(LONGEST_REQUEST_SECONDS):
            return await request(*args, **kwargs)
    except TimeoutError as error:
        raise AmbiguousError(NO_ANSWER) from error


async def _json_or_text(response: aiohttp.ClientResponse) -> object:
    """discord.py takes JSON with a charset, as proxies send it, for a text."""
    text = await response.text(encoding="utf-8")
    return utils._from_json(text) if response.content_type == JSON else text  # noqa: SLF001 - as discord.py does


def _asked(response: aiohttp.ClientResponse, text: str) -> tuple[timedelta, bool]:
    """How long a 429 asks to wait, and whether with all requests: Cloudflare, which sends a page, means the address."""
    body = _object(text)
    seconds = body.get("retry_after", response.headers.get("Retry-After"))
    everywhere = bool(body.get("global")) or "X-RateLimit-Global" in response.headers or "Via" not in response.headers
    try:
        return timedelta(seconds=max(0.0, float(str(seconds)))), everywhere
    except (ValueError, OverflowError):
        return UNTOLD_PAUSE, everywhere


def _object(text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_answer(url: URL) -> bool:
    return bool(_ANSWERS.search(url.path))


def _is_gateway(url: URL) -> bool:
    return url.scheme in _GATEWAY
