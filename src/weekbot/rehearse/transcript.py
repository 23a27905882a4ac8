"""All exchanges of a rehearsal, taken from the HTTP trace before discord.py makes anything of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from discord.http import Route

from weekbot.discord_io.server_time import ServerClock
from weekbot.runtime.errors import WeekbotError, describe

KEPT: Final = ("content-type", "date", "retry-after", "via")
RATE_LIMIT: Final = "x-ratelimit-"


@dataclass(frozen=True)
class Exchange:
    """One request to Discord and its answer, as they were.

    `path` is below the API's address, with its query. `sent` and `answer` are JSON, or a text that isn't. The names of
    `headers` are in lower case; only those that matter are kept. Without an answer the `status` is None, and `error`
    says why. `at` is when it ended, by Discord's time; `part` is the check that it belongs to.
    """

    method: str
    path: str
    sent: Any
    status: int | None
    at: datetime
    part: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: Any = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def code(self) -> int | None:
        """Discord's own code for an error."""
        return self.answer.get("code") if isinstance(self.answer, dict) and not self.ok else None

    def __str__(self) -> str:
        """What Discord answered, for a person."""
        code = f", code {self.code}" if self.code else ""
        message = self.answer.get("message") if isinstance(self.answer, dict) and not self.ok else None
        return f"{self.status}{code}" + (f" ({message})" if message else "")


class Transcript:
    """`part` is the check that is under way, `write` is called with each exchange as soon as it has ended."""

    def __init__(self, clock: ServerClock) -> None:
        self.exchanges: list[Exchange] = []
        self.part: str | None = None
        self.write: Callable[[Exchange], object] = lambda _: None
        self._clock = clock

    def instrument(self, trace: aiohttp.TraceConfig) -> None:
        """Hear of each request before those who are in the trace already."""
        trace.on_request_chunk_sent.append(self._keep_sent)
        trace.on_request_end.insert(0, self._end)
        trace.on_request_exception.insert(0, self._fail)

    async def _keep_sent(self, _: object, request: SimpleNamespace, sent: aiohttp.TraceRequestChunkSentParams) -> None:
        request.sent = getattr(request, "sent", b"") + sent.chunk

    async def _end(self, _: object, request: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        response, answer, error = end.response, None, None
        self._clock.observe(response.headers.get("Date"))
        try:
            await response.read()
            answer = _parsed(await response.text("utf-8", errors="replace"))
        except (aiohttp.ClientError, OSError) as cut:
            error = describe(cut)
        self._add(request, end, status=response.status, headers=_kept(response.headers), answer=answer, error=error)

    async def _fail(self, _: object, request: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(end.exception, WeekbotError):  # of an answer that is kept already
            self._add(request, end, status=None, error=describe(end.exception))

    def _add(
        self,
        request: SimpleNamespace,
        end: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams,
        **answered: Any,
    ) -> None:
        sent = _parsed(getattr(request, "sent", b"").decode(errors="replace"))
        path = str(end.url).removeprefix(Route.BASE)
        exchange = Exchange(end.method, path, sent, at=self._clock.now(), part=self.part, **answered)
        self.exchanges.append(exchange)
        self.write(exchange)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lowered.items() if name in KEPT or name.startswith(RATE_LIMIT)}


def _parsed(text: str) -> Any:
    """JSON, a text that isn't, or None if there is nothing."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
