"""The requests of a rehearsal, and their exchanges, which the HTTP trace records before discord.py parses them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
from discord.http import Route

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.server_time import ServerClock
from weekbot.runtime.errors import WeekbotError, describe

ANSWER_SECONDS = 30.0  # also for a call of several requests, each of which may wait for the rate limiter
RATE_LIMIT = "x-ratelimit-"
KEPT = ("content-type", "date", "retry-after", "via", RATE_LIMIT)  # headers, or their prefixes

RequestEnd = aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams
T = TypeVar("T")


async def with_deadline(request: Awaitable[T]) -> T:
    """Raises delivery errors, also if the request isn't answered within half a minute."""
    async with deadline_at(from_now(ANSWER_SECONDS)):
        with map_errors():
            return await request


@dataclass(frozen=True)
class Exchange:
    """One request to Discord and its raw answer."""

    method: str
    path: str  # below the API's address, with the query
    sent: Any  # JSON, or text that isn't JSON
    status: int | None  # None without an answer
    at: datetime  # the time of its end on Discord's clock
    part: str | None  # the check that made it
    headers: Mapping[str, str] = field(default_factory=dict)  # the relevant ones, with names in lower case
    answer: Any = None
    error: str | None = None  # the reason why there is no answer

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def code(self) -> int | None:
        code: int | None = self._error_field("code")
        return code

    def __str__(self) -> str:
        code, message = (f", code {self.code}" if self.code else ""), self._error_field("message")
        return f"{self.status}{code}" + (f" ({message})" if message else "")

    def _error_field(self, name: str) -> Any:
        return self.answer.get(name) if isinstance(self.answer, dict) and not self.ok else None


@dataclass(eq=False)
class Transcript:
    clock: ServerClock
    exchanges: list[Exchange] = field(default_factory=list)
    part: str | None = None  # the current check
    write: Callable[[Exchange], object] = lambda _: None  # called with each exchange as soon as it has ended

    def instrument(self, trace: aiohttp.TraceConfig) -> None:
        """Observe each request before the callbacks that are already in the trace."""
        trace.on_request_chunk_sent.append(self._keep_sent)
        trace.on_request_end.insert(0, self._end)
        trace.on_request_exception.insert(0, self._fail)

    async def _keep_sent(self, _: object, request: SimpleNamespace, sent: aiohttp.TraceRequestChunkSentParams) -> None:
        request.sent = getattr(request, "sent", b"") + sent.chunk

    async def _end(self, _: object, request: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        response, answer, error = end.response, None, None
        self.clock.observe(response.headers.get("Date"))
        try:
            await response.read()
            answer = _parsed(await response.text("utf-8", errors="replace"))
        except (aiohttp.ClientError, OSError) as cut:
            error = describe(cut)
        headers = {name.lower(): value for name, value in response.headers.items() if name.lower().startswith(KEPT)}
        self._add(request, end, status=response.status, headers=headers, answer=answer, error=error)

    async def _fail(self, _: object, request: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(end.exception, WeekbotError):  # raised for an answer that was already recorded
            self._add(request, end, status=None, error=describe(end.exception))

    def _add(self, request: SimpleNamespace, end: RequestEnd, **answered: Any) -> None:
        sent = _parsed(getattr(request, "sent", b"").decode(errors="replace"))
        path = str(end.url).removeprefix(Route.BASE)
        exchange = Exchange(end.method, path, sent, at=self.clock.now(), part=self.part, **answered)
        self.exchanges.append(exchange)
        self.write(exchange)


def _parsed(text: str) -> Any:
    """Return parsed JSON, text that isn't JSON, or None for no text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
