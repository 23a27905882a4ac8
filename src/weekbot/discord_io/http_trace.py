"""Tracing of every HTTP request to Discord: rate limits, deadlines and errors, before discord.py reads a response.

A response that asks to wait or to retry raises a delivery error: discord.py would sleep and retry while it holds the
request, and a cancellation meanwhile would leave the request waiting forever.
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
from weekbot.discord_io.circuit_breaker import CircuitBreaker
from weekbot.discord_io.errors import connection_error, server_error
from weekbot.discord_io.foreign_responses import ForeignResponseDetector
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rate_limits import RateLimits

DEFAULT_PAUSE = timedelta(minutes=1)  # after a 429 without a duration, for example Cloudflare's
MAX_REQUEST_SECONDS = 30.0  # without a deadline of its own; aiohttp's default is five minutes
JSON = "application/json"

_is_single_attempt: ContextVar[bool] = ContextVar("is_single_attempt", default=False)


@dataclass(frozen=True)
class HttpTrace:
    """Sends each request once, after it has waited for the rate limiter.

    Interaction responses don't wait, as Discord doesn't count them. They are sent also during a pause of all requests
    and while the circuit is open. Deliveries are retried by the ledger, even after a restart, with longer pauses.
    """

    rate_limiter: Callable[[], RateLimiter]  # called for each request, as the process's current rate changes
    token_refused: asyncio.Event = field(default_factory=asyncio.Event)  # once it is set, no request is sent
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    on_finished: Callable[[int | None, bool], object] = lambda _, __: None  # the status, if any; whether it waited
    on_date: Callable[[str | None], object] = lambda _: None  # each `Date` header
    traffic: Traffic = field(default_factory=Traffic)
    foreign_responses: ForeignResponseDetector = field(default_factory=ForeignResponseDetector)

    def config(self) -> aiohttp.TraceConfig:
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._on_start)
        config.on_request_end.append(self._on_end)
        config.on_request_exception.append(self._on_exception)
        return config

    def install(self, client: discord.Client) -> None:
        """Replace discord.py's rate limits, time-outs and JSON decoder."""
        client.http.get_ratelimit = self.rate_limits.bucket  # type: ignore[method-assign, assignment]
        client.http.request = partial(_with_timeout, client.http.request)  # type: ignore[method-assign]
        for module in (discord.http, discord.webhook.async_):
            module.json_or_text = _json_or_text  # type: ignore[attr-defined]

    async def _on_start(self, _: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if _is_interaction(request.url):
            self.foreign_responses.request_sent(request.url)
            return
        await self.rate_limiter().acquire()
        try:
            self._check(request.url)
        except RetryableError as error:
            self.traffic.failed(str(error))
            raise

    def _check(self, url: URL) -> None:
        """Raises RetryableError if the request must not be sent."""
        if self.token_refused.is_set():
            raise RetryableError("Discord isn't accepting requests right now")
        if not _is_gateway(url):  # interactions arrive over it
            self.rate_limits.check()
            self.circuit_breaker.check()
        mark_sent()

    async def _on_end(self, _: object, __: object, request: aiohttp.TraceRequestEndParams) -> None:
        url, response = request.url, request.response
        shared = response.headers.get("X-RateLimit-Scope") == "shared"
        self.circuit_breaker.record(response.status, shared=shared)
        self.on_finished(response.status, not _is_interaction(url))
        self.on_date(response.headers.get("Date"))
        if _is_interaction(url):
            await self._end_interaction(url, response)
        elif not _is_gateway(url):
            await self._end_request(response)

    async def _end_interaction(self, url: URL, response: aiohttp.ClientResponse) -> None:
        if response.status == 400:
            code = _json_object(await response.text(errors="replace")).get("code")
            self.foreign_responses.request_refused(url, code)
        if response.status >= 500 and _is_single_attempt.get():
            raise server_error(response.status)

    async def _end_request(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 401 and response.content_type == JSON:  # a proxy's page isn't about the token
            self.token_refused.set()
        await response.read()
        if error := await self._error(response):
            self.traffic.failed(str(error))
            raise error
        self.traffic.answered()

    async def _error(self, response: aiohttp.ClientResponse) -> Exception | None:
        """Return the delivery error for a response, or None if discord.py handles it."""
        if response.status == 429:
            after, everywhere = _retry_after(response, await response.text(errors="replace"))
            if everywhere:
                self.rate_limits.pause_all(after)
            return RateLimitedError(after, everywhere=everywhere)
        if response.status >= 500:
            return server_error(response.status)
        is_json = response.content_type == JSON or response.status == 204
        if not is_json and (response.ok or response.status == 401):
            return UnreadableAnswerError(response.content_type)
        return None

    async def _on_exception(self, _: object, __: object, request: aiohttp.TraceRequestExceptionParams) -> None:
        error, is_interaction = request.exception, _is_interaction(request.url)
        if not isinstance(error, (aiohttp.ClientError, OSError)):
            return
        self.on_finished(None, not is_interaction)
        if not is_interaction and not _is_gateway(request.url):
            mapped = connection_error(error)
            self.traffic.failed(str(mapped))
            raise mapped from error


@contextmanager
def single_attempt() -> Iterator[None]:
    """Send interaction responses only once: a 5xx raises AmbiguousError, whereas discord.py would retry."""
    token = _is_single_attempt.set(True)
    try:
        yield
    finally:
        _is_single_attempt.reset(token)


async def _with_timeout(request: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    """Raises AmbiguousError if a request without a deadline of its own stays unanswered."""
    if not math.isinf(seconds_left()):
        return await request(*args, **kwargs)
    try:
        async with asyncio.timeout(MAX_REQUEST_SECONDS):
            return await request(*args, **kwargs)
    except TimeoutError as error:
        raise AmbiguousError(NO_ANSWER) from error


async def _json_or_text(response: aiohttp.ClientResponse) -> object:
    """Decode JSON also if its content type has a charset, as proxies send it; discord.py would return a string."""
    text = await response.text(encoding="utf-8")
    return utils._from_json(text) if response.content_type == JSON else text  # noqa: SLF001 - as discord.py does


def _retry_after(response: aiohttp.ClientResponse, text: str) -> tuple[timedelta, bool]:
    """Return a 429's duration, and whether it is for all requests, as Cloudflare's, which blocks the IP address."""
    body = _json_object(text)
    seconds = body.get("retry_after", response.headers.get("Retry-After"))
    everywhere = bool(body.get("global")) or "X-RateLimit-Global" in response.headers or "Via" not in response.headers
    try:
        return timedelta(seconds=max(0.0, float(str(seconds)))), everywhere
    except (ValueError, OverflowError):
        return DEFAULT_PAUSE, everywhere


def _json_object(text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_interaction(url: URL) -> bool:
    return bool(re.search(r"/(interactions|webhooks)/", url.path))


def _is_gateway(url: URL) -> bool:
    return url.scheme in ("ws", "wss")
