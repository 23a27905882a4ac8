"""All exchanges of a rehearsal, taken from the HTTP trace before discord.py makes anything of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
from discord.http import Route

from weekbot.clock import Clock
from weekbot.errors import WeekbotError, said
from weekbot.rehearse.exchange import Exchange, kept


class Transcript:
    def __init__(self, clock: Clock) -> None:
        self.exchanges: list[Exchange] = []
        self._write: Callable[[Exchange], object] | None = None
        self._clock = clock
        self._part: str | None = None

    def write_to(self, write: Callable[[Exchange], object]) -> None:
        """Call it with each exchange so far, and with each other one as soon as it has ended."""
        for each in self.exchanges:
            write(each)
        self._write = write

    @contextmanager
    def about(self, part: str) -> Iterator[None]:
        """What is asked meanwhile belongs to that part."""
        self._part = part
        try:
            yield
        finally:
            self._part = None

    def newest(self, method: str, ending: str, part: str | None = None) -> Exchange:
        """The last one with that method whose path, its query aside, ends so; of a part or any. Raises LookupError."""
        for each in reversed(self.exchanges):
            is_meant = each.method == method and each.path.partition("?")[0].endswith(ending)
            if is_meant and part in (None, each.part):
                return each
        raise LookupError(f"no {method} of {ending}")

    def instrument(self, trace: aiohttp.TraceConfig) -> None:
        """Hear of each request before those who are in the trace already."""
        trace.on_request_chunk_sent.append(self._keep_sent)
        trace.on_request_end.insert(0, self._end)
        trace.on_request_exception.insert(0, self._fail)

    async def _keep_sent(self, _: object, about: SimpleNamespace, chunk: aiohttp.TraceRequestChunkSentParams) -> None:
        about.sent = getattr(about, "sent", b"") + chunk.chunk

    async def _end(self, _: object, about: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        response, error = end.response, None
        try:
            await response.read()
            answer = _parsed(await response.text("utf-8", errors="replace"))
        except (aiohttp.ClientError, OSError) as cut:
            answer, error = None, said(cut)
        self._add(about, end, status=response.status, headers=kept(response.headers), answer=answer, error=error)

    async def _fail(self, _: object, about: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(end.exception, WeekbotError):  # of an answer that is kept already
            self._add(about, end, status=None, error=said(end.exception))

    def _add(
        self,
        about: SimpleNamespace,
        end: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams,
        **answered: Any,
    ) -> None:
        sent = _parsed(getattr(about, "sent", b"").decode(errors="replace"))
        path = str(end.url).removeprefix(Route.BASE)
        exchange = Exchange(end.method, path, sent, **answered, at=self._clock.now(), part=self._part)
        self.exchanges.append(exchange)
        if self._write:
            self._write(exchange)


def _parsed(text: str) -> Any:
    """JSON, a text that isn't, or None if there is nothing."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
