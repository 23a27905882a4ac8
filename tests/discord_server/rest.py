"""The HTTP side: from aiohttp's requests to calls, and from replies to aiohttp's responses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from .attachment import NO_UPLOADS, Upload, Uploads
from .call import Call, Reply, Route
from .changes import Changes
from .error import ApiError
from .fault import Fault, Faults
from .openapi import violations, violations_of_answer
from .rate_limit import PASSES, InvalidRequests, RateLimits, Verdict
from .report import Tally
from .routes import ROUTES
from .world import World

BASE = "/api/v10"

# What Cloudflare says instead of Discord.
BANNED = "error code: 1015"
DOWN = "upstream connect error or disconnect/reset before headers"

UNAUTHORISED = Reply({"code": 0, "message": "401: Unauthorized"}, 401)
NOT_FOUND = Reply({"code": 0, "message": "404: Not Found"}, 404)


@dataclass
class RecordedRequest:
    """A request that the bot made, and how it was answered: with no status if it was cut."""

    call: Call
    route: str | None
    authorised: bool
    reason: str | None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.call.method} {self.call.path} → {self.status or 'cut'}"


@dataclass
class Rest:
    """Answers requests by the world, and keeps them."""

    world: World
    changes: Changes
    faults: Faults = field(default_factory=Faults)
    latencies: tuple[float, float] = (0.0, 0.0)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311
    down: bool = False
    check: bool = True
    limits: RateLimits | None = None
    invalid: InvalidRequests = field(default_factory=InvalidRequests)
    violations: list[str] = field(default_factory=list)
    record: bool = True
    requests: list[RecordedRequest] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def latency(self) -> float:
        """Return the seconds that the next request takes."""
        return self.random.uniform(*self.latencies)

    def add_to(self, app: web.Application) -> None:
        """Serve the API in an application, and 404 beside it."""
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
                return await self._limited(request, record, route)
            finally:
                self.tally.add(record.call.method, record.route, record.status)
                self.changes.notify()

        return handle

    async def _limited(self, request: web.Request, record: RecordedRequest, route: Route | None) -> web.StreamResponse:
        if self.down:
            record.status = 503
            return web.Response(status=503, text=DOWN)
        if self.invalid.banned:
            record.status = 429
            return web.Response(status=429, text=BANNED)
        verdict = self._verdict(record.call, route)
        if verdict.wait:
            response: web.StreamResponse = await self._refuse(record, verdict)
        else:
            response = await self._respond(request, record, route)
            response.headers.update(verdict.headers)
        self.invalid.add(record.status, verdict.scope)
        return response

    def _verdict(self, call: Call, route: Route | None) -> Verdict:
        return self.limits.take(call.method, route.path if route else "", call.parameters) if self.limits else PASSES

    async def _refuse(self, record: RecordedRequest, verdict: Verdict) -> web.Response:
        await asyncio.sleep(self.latency)
        record.status, reply = 429, Reply(verdict.body(), 429)
        self._check_answer(record.call, reply)
        return _response(reply, verdict.headers)

    async def _respond(self, request: web.Request, record: RecordedRequest, route: Route | None) -> web.StreamResponse:
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self.faults.take(record.call)
        if fault is None:
            reply = self._reply(record, route)
            record.status = reply.status
            self._check_answer(record.call, reply)
            return _response(reply)
        if fault.takes_effect:
            self._reply(record, route)
        record.status = fault.status
        return _failure(request, fault)

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
    # Only digits, so that ".../messages/pins" is not taken for a message's id.
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


def _response(reply: Reply, headers: Mapping[str, str] | None = None) -> web.Response:
    if reply.status == 204:
        return web.Response(status=204, headers=headers)
    # As bytes, since aiohttp adds a charset to a text, and discord.py then takes it for no JSON.
    body = json.dumps(reply.body).encode()
    return web.Response(body=body, status=reply.status, content_type="application/json", headers=headers)


def _failure(request: web.Request, fault: Fault) -> web.Response:
    if fault.status is not None:
        return _response(Reply(fault.body, fault.status), fault.headers)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
