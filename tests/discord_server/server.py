"""The server of the loopback Discord."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

import leaks

from .call import Call
from .changes import Changes
from .channel import Channel
from .fault import Planned, fault, planned
from .gateway import Close, Gateway
from .guild import Guild
from .member_actions import MemberActions
from .message import Message
from .openapi import require_none
from .payload import Payload
from .permission import BOT_DEFAULT
from .rate_limit import RateLimits
from .report import report
from .request_fault import RequestFault
from .rest import BASE, PrematureRequest, RecordedRequest, Rest
from .world import World

GATEWAY_PATH = "/gateway"
REPORT_PATH = "/_report"


@dataclass(eq=False)
class DiscordServer(MemberActions):
    """Serves a world over HTTP and WebSocket, and plays its members."""

    world: World = field(default_factory=World)
    changes: Changes = field(default_factory=Changes)
    rest: Rest = field(init=False)
    gateway: Gateway = field(init=False)
    runner: web.AppRunner = field(init=False, repr=False)
    port: int = 0
    check: bool = True
    limits: RateLimits | None = field(default_factory=RateLimits)
    record: bool = True
    expected_posts: int = 1
    injected: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rest = Rest(self.world, self.changes, check=self.check, limits=self.limits, record=self.record)
        self.gateway = Gateway(self.world, self.changes)
        self.rest.faults.injected = self.gateway.events.injected = self.gateway.handshakes.injected = self.injected
        app = web.Application()
        app.router.add_get(GATEWAY_PATH, self.gateway.handle)
        app.router.add_get(REPORT_PATH, self._serve_report)
        self.rest.add_to(app)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self.runner.setup()
        await self._listen()
        self.port = self.runner.addresses[0][1]
        self.world.gateway_url = self.gateway_url
        self.rest.watch.start()
        return self

    async def _listen(self) -> None:
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.rest.watch.stop()
        self.gateway.close(Close.GOING_AWAY)
        await self.runner.cleanup()
        if error is None:
            require_none(self.violations)
            leaks.require_none(*(str(each.call.body) for each in self.requests))

    @property
    def api_url(self) -> str:
        """Return the value for WEEKBOT_DISCORD_API_URL."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    @property
    def gateway_url(self) -> str:
        """Return the gateway's URL."""
        return f"ws://127.0.0.1:{self.port}{GATEWAY_PATH}"

    @property
    def report_url(self) -> str:
        """Return the URL of the report, which isn't part of Discord's API."""
        return f"http://127.0.0.1:{self.port}{REPORT_PATH}"

    def report(self) -> Payload:
        """Return the figures of requests and posts, even if requests aren't recorded."""
        counted = report(self.world, self.rest.tally, self.invalid_requests, self.expected_posts)
        return counted | {"injected": dict(self.injected)}

    def injected_text(self) -> str:
        """Return the number of injected faults of each kind, one line each, the most frequent first."""
        return "\n".join(f"{count:6} {kind}" for kind, count in self.injected.most_common())

    async def _serve_report(self, _request: web.Request) -> web.Response:
        return web.json_response(self.report())

    @property
    def token(self) -> str:
        """Return the valid token."""
        return self.world.token

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return all requests so far."""
        return self.rest.requests

    @property
    def violations(self) -> list[str]:
        """Return the violations of Discord's OpenAPI document by requests and by this server's responses."""
        return self.rest.violations

    @property
    def invalid_requests(self) -> int:
        """Return the number of invalid requests, with 401, 403 or 429, which count towards a ban of the IP address."""
        return self.rest.invalid.count

    @property
    def unknown_requests(self) -> list[RecordedRequest]:
        """Return the requests without a route in this server."""
        return [request for request in self.requests if request.route is None]

    @property
    def latency(self) -> float:
        """Return the minimum latency of each request in seconds."""
        return self.rest.latencies[0]

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.rest.latencies = (seconds, seconds)

    def sent(self, method: str, route: str) -> list[RecordedRequest]:
        """Return the requests with a method and a path template."""
        return [each for each in self.requests if (each.call.method, each.route) == (method, route)]

    def add_guild(
        self, name: str, permissions: int = BOT_DEFAULT, *, joined: bool = True, available: bool = True
    ) -> Guild:
        """Add a guild in which the bot has these permissions; see World.add_guild."""
        return self.world.add_guild(name, permissions, joined=joined, available=available)

    def messages_in(self, channel: Channel) -> list[Message]:
        """Return the messages that everyone sees in a channel, the oldest first."""
        return channel.history()

    @property
    def premature_requests(self) -> list[PrematureRequest]:
        """Return the requests that were sent during an imposed limit."""
        return self.rest.premature

    def inject(self, method: str, path: str, fault: RequestFault, times: float = 1) -> Planned[Call, RequestFault]:
        """Inject a fault into the next requests whose method and path match regular expressions."""
        plan = planned(method, path, fault, times)
        self.rest.faults.pending.append(plan)
        return plan

    def fail_next(
        self,
        method: str,
        path: str,
        status: int,
        body: Any = None,
        *,
        times: int = 1,
        takes_effect: bool = False,
    ) -> None:
        """Respond to the next requests with an error, optionally after carrying them out."""
        self.rest.faults.pending.append(fault(method, path, status, body, times=times, takes_effect=takes_effect))

    def cut_next(self, method: str, path: str, *, times: int = 1, takes_effect: bool = False) -> None:
        """Cut the connection of the next requests, optionally after carrying them out."""
        self.rest.faults.pending.append(fault(method, path, None, times=times, takes_effect=takes_effect))

    async def until(self, met: Callable[[], object], what: str = "a condition") -> None:
        """Wait for a condition that requests or gateway payloads cause."""
        await self.changes.until(met, what)

    async def ready(self) -> None:
        """Wait until all shards of a bot have identified."""
        await self.until(self.gateway.complete, "a bot to identify")

    async def drop(self, code: int = Close.UNKNOWN_ERROR, *, resumable: bool = True) -> None:
        """Close all gateway connections; unless resumable, their sessions are forgotten, too."""
        dropped = set(self.gateway.close(code))
        if not resumable:
            self.gateway.sessions.clear()
        await self.until(lambda: not dropped & self.gateway.connections, "the connections to close")

    @asynccontextmanager
    async def outage(self, *, refuses: bool = False, resumable: bool = True) -> AsyncIterator[None]:
        """Close the gateway, and respond to every request with 503 or refuse connections, during the block.

        Afterwards it serves at the same address, and keeps earlier sessions if they are resumable.
        """
        self.rest.down = self.gateway.down = True
        await self.drop(resumable=resumable)
        if refuses:
            await self._stop_listening()
        try:
            yield
        finally:
            self.rest.down = self.gateway.down = False
            if refuses:
                await self._listen()

    async def _stop_listening(self) -> None:
        for site in list(self.runner.sites):
            await site.stop()
        assert self.runner.server is not None
        for connection in self.runner.server.connections:
            connection.force_close()
