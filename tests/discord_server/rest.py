"""The HTTP API: converts aiohttp's requests to calls, and replies to aiohttp's responses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeAlias

from aiohttp import web

from . import response
from .attachment import NO_UPLOADS, Upload, Uploads
from .call import Call, Reply, Route
from .changes import Changes
from .error import ApiError
from .fault import Faults
from .imposed_limit import ImposedLimit, ImposedLimits, Limitation
from .late_effect import Watch
from .openapi import violations, violations_of_answer
from .rate_limit import PASSES, InvalidRequestBan, RateLimits, Scope, Verdict
from .report import Tally
from .request_fault import AT_ONCE, RequestFault
from .response import Response
from .routes import ROUTES
from .world import World

BASE = "/api/v10"

# Responses of Cloudflare instead of Discord.
BANNED = response.of_text(429, "error code: 1015")
DOWN = response.of_text(503, "upstream connect error or disconnect/reset before headers")

UNAUTHORISED = Reply({"code": 0, "message": "401: Unauthorized"}, 401)
NOT_FOUND = Reply({"code": 0, "message": "404: Not Found"}, 404)


@dataclass(frozen=True)
class NoResponse:
    """No response: the connection is cut, or left open."""

    held: bool


Outcome: TypeAlias = Response | NoResponse


@dataclass
class RecordedRequest:
    """A request of the bot, and the status of the response: None if the connection was cut."""

    call: Call
    route: str | None
    authorised: bool
    reason: str | None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.call.method} {self.call.path} → {self.status or 'cut'}"


@dataclass(frozen=True)
class PrematureRequest:
    """A request during an imposed limit, and the seconds that it should still have waited."""

    request: RecordedRequest
    limit: ImposedLimit
    seconds: float


@dataclass
class Rest:
    """Responds to requests with the world's state, and records them."""

    world: World
    changes: Changes
    faults: Faults[Call, RequestFault] = field(default_factory=Faults)
    imposed: ImposedLimits = field(default_factory=ImposedLimits)
    premature: list[PrematureRequest] = field(default_factory=list)
    latencies: tuple[float, float] = (0.0, 0.0)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311
    down: bool = False
    check: bool = True
    limits: RateLimits | None = None
    invalid: InvalidRequestBan = field(default_factory=InvalidRequestBan)
    violations: list[str] = field(default_factory=list)
    record: bool = True
    requests: list[RecordedRequest] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.world.late_effects, self.changes)

    @property
    def latency(self) -> float:
        """Return the latency of the next request in seconds."""
        return self.random.uniform(*self.latencies)

    def add_to(self, app: web.Application) -> None:
        """Add the API to an application, and 404 for all other paths."""
        for route in ROUTES:
            app.router.add_route(route.method, BASE + _pattern(route.path), self._handler(route))
        app.router.add_route("*", "/{rest:.*}", self._handler(None))

    def _handler(self, route: Route | None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            record = RecordedRequest(
                await _call(request),
                route.path if route else None,
                request.headers.get("Authorization") == f"Bot {self.world.token}",
                request.headers.get("X-Audit-Log-Reason"),
            )
            if self.record:
                self.requests.append(record)
            self._check_request(record.call)
            try:
                outcome = await self._limited(record, route)
            finally:
                self.tally.add(record.call.method, record.route, record.status)
                self.changes.notify()
            return await _send(request, outcome) if isinstance(outcome, Response) else await _leave(request, outcome)

        return handle

    async def _limited(self, record: RecordedRequest, route: Route | None) -> Outcome:
        self.world.late_effects.apply_due()
        if self.down or self.invalid.banned:
            sent = DOWN if self.down else BANNED
            record.status = sent.status
            return self._dated(sent)
        verdict = self._verdict(record, route.path if route else "")
        if latency := self.latency:
            await asyncio.sleep(latency)
        if verdict.wait:
            return self._refused(record, verdict)
        return self._outcome(record, route, Response(200, headers=verdict.headers))

    def _verdict(self, record: RecordedRequest, route: str) -> Verdict:
        call = record.call
        if limit := self.imposed.on(call, route):
            verdict = limit.verdict(self.imposed.clock())
            self.premature.append(PrematureRequest(record, limit, verdict.wait))
            return verdict
        return self.limits.take(call.method, route, call.parameters) if self.limits else PASSES

    def _refused(self, record: RecordedRequest, verdict: Verdict) -> Response:
        if verdict.scope == "cloudflare":
            return self._recorded(record, response.of_page(429, "Error 1015", verdict.headers))
        reply = Reply(verdict.body(), 429)
        self._check_answer(record.call, reply)
        return self._recorded(record, response.of_reply(reply).with_headers(verdict.headers), verdict.scope)

    def _outcome(self, record: RecordedRequest, route: Route | None, blank: Response) -> Outcome:
        fault = self.faults.take(record.call)
        if fault is None:
            return self._recorded(record, self._true(record, route).with_headers(blank.headers))
        if fault.limit is not None:
            return self._refused(record, self._impose(fault.limit, record, route))
        start = self._with_effect(fault, record, route).with_headers(blank.headers)
        if fault.rewrite is None:
            return NoResponse(fault.held)
        return self._recorded(record, fault.rewrite(self._dated(start)))

    def _impose(self, limit: Limitation, record: RecordedRequest, route: Route | None) -> Verdict:
        return self.imposed.begin(limit, record.call, route.path if route else "")

    def _with_effect(self, fault: RequestFault, record: RecordedRequest, route: Route | None) -> Response:
        if fault.effect == AT_ONCE:
            true = self._true(record, route)
            fault.then()
            return true
        if fault.effect is not None:
            self.world.late_effects.add(fault.effect, lambda: self._reply(record, route))
            self.watch.start()
        return Response(200)

    def _recorded(self, record: RecordedRequest, sent: Response, scope: Scope = "user") -> Response:
        record.status = sent.status
        self.invalid.add(record.status, scope)
        return self._dated(sent)

    def _dated(self, sent: Response) -> Response:
        return sent if "Date" in sent.headers else sent.with_headers({"Date": self.world.date.value})

    def _true(self, record: RecordedRequest, route: Route | None) -> Response:
        reply = self._reply(record, route)
        self._check_answer(record.call, reply)
        return response.of_reply(replace(reply, body=self.world.oddities.apply(reply.body)))

    def _check_request(self, call: Call) -> None:
        if self.check:
            self.violations += violations(call.method, call.path, call.query, call.body)

    def _check_answer(self, call: Call, reply: Reply) -> None:
        if self.check:
            self.violations += violations_of_answer(call.method, call.path, reply.status, reply.body)

    def _reply(self, record: RecordedRequest, route: Route | None) -> Reply:
        if route is None:
            return NOT_FOUND
        if route.needs_token and not record.authorised:
            return UNAUTHORISED
        try:
            return route.handler(self.world, record.call)
        except ApiError as error:
            return Reply(error.payload(), error.status)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return Reply({"code": 50035, "message": f"Invalid Form Body: {error!r}"}, 400)


def _pattern(path: str) -> str:
    # Only digits, so that "pins" in ".../messages/pins" isn't treated as a message ID.
    return re.sub(r"\{(\w+_id)\}", r"{\1:\\d+}", path)


async def _call(request: web.Request) -> Call:
    body, uploads = await _body(request)
    path = request.path.removeprefix(BASE)
    return Call(request.method, path, dict(request.match_info), dict(request.query), body, uploads)


async def _body(request: web.Request) -> tuple[Any, Uploads]:
    if request.content_type.startswith("multipart/"):
        return await _multipart(request)
    text = await request.text()
    return (json.loads(text) if text else None), NO_UPLOADS


async def _multipart(request: web.Request) -> tuple[Any, Uploads]:
    form, uploads = await request.post(), {}
    for name, part in form.items():
        if isinstance(part, web.FileField) and (index := re.fullmatch(r"files\[(\d+)\]", name)):
            uploads[index[1]] = Upload(part.filename, part.file.read())
            part.file.close()
    return json.loads(str(form["payload_json"])), uploads


async def _send(request: web.Request, sent: Response) -> web.StreamResponse:
    headers = dict(sent.headers) | ({"Content-Type": sent.content_type} if sent.content_type else {})
    if not sent.missing:
        return web.Response(status=sent.status, body=sent.body or None, headers=headers)
    headers["Content-Length"] = str(len(sent.body) + sent.missing)
    streamed = web.StreamResponse(status=sent.status, headers=headers)
    await streamed.prepare(request)
    await streamed.write(sent.body)
    if request.transport is not None:
        request.transport.close()
    return streamed


async def _leave(request: web.Request, outcome: NoResponse) -> web.Response:
    while outcome.held and request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for a client that gave up
        await asyncio.sleep(0.05)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
