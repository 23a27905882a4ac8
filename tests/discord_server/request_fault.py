"""Faults of requests.

Each function creates one fault. Its user determines when it happens: `DiscordServer.inject`, or a
`Mix` that draws it randomly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Self, TypeAlias

from . import date_header, response
from .call import Call
from .imposed_limit import Limitation
from .payload import Payload
from .rate_limit import UNBOUND, VIA, Scope
from .response import Response

Rewrite: TypeAlias = Callable[[Response], Response]
"""Converts the true response to the one that is sent."""

Then: TypeAlias = Callable[[], object]
"""Called after a request's effect and before its response."""

AT_ONCE: Final = 0.0


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class RequestFault:
    """A fault of a request.

    Without `rewrite`, nothing is sent: the connection is cut or, if the request is held, stays open. `effect` is the
    time of the request's effect, in seconds of the world's clock after the response: None for never, 0 for before it.
    Only in the last case does `rewrite` get the true response; otherwise it gets an empty one. If there is a
    `limit`, it is imposed and refuses the request.
    """

    kind: str
    rewrite: Rewrite | None = None
    effect: float | None = None
    held: bool = False
    then: Then = nothing
    limit: Limitation | None = None

    def applies_to(self, call: Call) -> bool:
        """Return whether the fault can happen to a request: responses to interactions have no global limit."""
        return self.limit is None or self.limit.scope != "global" or not call.path.startswith(UNBOUND)

    def carried_out(self, after: float = AT_ONCE) -> Self:
        """Return the same fault with the request's effect: before the response, or `after` seconds after it."""
        when = f" after {after:g} s" if after else ""
        return replace(self, kind=f"{self.kind}, carried out{when}", effect=after)


def _from_discord(kind: str, sent: Response) -> RequestFault:
    # Include the headers of the true response.
    return RequestFault(kind, lambda true: sent.with_headers({**true.headers, **sent.headers}))


def _from_proxy(kind: str, sent: Response) -> RequestFault:
    return RequestFault(kind, lambda _: sent)


def _of_true(kind: str, rewrite: Rewrite) -> RequestFault:
    return RequestFault(kind, rewrite, AT_ONCE)


# No response


def cut() -> RequestFault:
    """Cut the connection; aiohttp's client then silently repeats a GET, PUT or DELETE once."""
    return RequestFault("cut")


def held() -> RequestFault:
    """Send no response, and leave the connection open."""
    return RequestFault("held", held=True)


# Rate limits


def rate_limit(seconds: float, scope: Scope = "user") -> RequestFault:
    """Impose a limit in real time that refuses this request and all others to which it applies.

    A global limit applies to all requests except responses to interactions, Cloudflare's to all requests, and any other
    one to requests with the same bucket.
    """
    return RequestFault(f"429 {scope} for {seconds:g} s", limit=Limitation(scope, seconds))


def daily_quota(seconds: float, status: int = 429) -> RequestFault:
    """Refuse a registration of commands because of the daily quota; other requests aren't affected."""
    body = {"message": "Max number of daily application command creates has been reached (200)", "code": 30034}
    headers = {**VIA, "Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": "user"}
    return json_body(status, body | {"retry_after": seconds, "global": False}, headers, kind=f"{status}/30034")


# Other responses


def json_body(
    status: int, body: Any, headers: Mapping[str, str] | None = None, kind: str | None = None
) -> RequestFault:
    """Respond with any JSON."""
    return _from_discord(kind or str(status), response.of_json(status, body, headers))


def refusal(status: int, code: int | None = 0, message: str = "Made to fail") -> RequestFault:
    """Respond with an error in Discord's format; a code of None is omitted."""
    body: Payload = {"message": message} | ({} if code is None else {"code": code})
    return _from_discord(
        f"{status} without a code" if code is None else f"{status}/{code}", response.of_json(status, body)
    )


def html(status: int) -> RequestFault:
    """Respond with an HTML page, as proxies do."""
    return _from_proxy(f"{status} HTML", response.of_page(status, f"Error {status}"))


def empty(status: int = 200) -> RequestFault:
    """Respond without a body."""
    return _from_proxy(f"{status} empty", Response(status))


# Changed true responses


def rewritten(kind: str, change: Callable[[Any], Any]) -> RequestFault:
    """Carry out the request, and respond with changed JSON."""
    return _of_true(kind, lambda true: true.with_json(change))


def truncated(*, announced: bool = False) -> RequestFault:
    """Carry out the request, and send half of the JSON; if announced, Content-Length includes the other half."""

    def rewrite(true: Response) -> Response:
        half = true.body[: len(true.body) // 2]
        return replace(true, body=half, missing=len(true.body) - len(half) if announced else 0)

    return _of_true("JSON cut short of its length" if announced else "JSON cut", rewrite)


def with_charset() -> RequestFault:
    """Carry out the request, and respond with a charset in the content type, which is valid but unusual."""
    return _of_true("charset", lambda true: replace(true, content_type=f"{response.JSON}; charset=utf-8"))


def misdated(by: timedelta) -> RequestFault:
    """Carry out the request, and respond with another `Date`."""

    def rewrite(true: Response) -> Response:
        return true.with_headers({"Date": date_header.shifted(true.headers["Date"], by)})

    return _of_true(f"Date shifted by {by}", rewrite)


# Incomplete lists


def shortened(by: int = 1) -> RequestFault:
    """Respond with a list without its last entries, with which the next page starts."""
    return _of_list(f"list shortened by {by}", lambda entries: entries[:-by])


def emptied() -> RequestFault:
    """Respond with an empty list."""
    return _of_list("list emptied", lambda _: [])


def omitting(entry_id: int) -> RequestFault:
    """Respond with a list without the entry with an ID."""
    return _of_list(
        f"list without {entry_id}", lambda entries: [each for each in entries if each["id"] != str(entry_id)]
    )


def _of_list(kind: str, change: Callable[[list[Any]], list[Any]]) -> RequestFault:
    # A mix may draw it for a request whose response isn't a list.
    return rewritten(kind, lambda body: change(body) if isinstance(body, list) else body)
