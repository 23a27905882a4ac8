"""What happens to a request instead of what Discord would do.

Each function makes one description. Where and how often it happens is up to who uses it: `DiscordServer.inject`, or a
`Mix` that draws it by chance.
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
"""Makes what is sent from what would have been sent."""

Then: TypeAlias = Callable[[], object]
"""Called when a request has taken effect and is not answered yet."""

AT_ONCE: Final = 0.0


def nothing() -> None:
    """Do no more."""


@dataclass(frozen=True)
class RequestFault:
    """What happens to a request.

    Without `rewrite`, nothing is sent: the connection is cut or, if the request is held, stays open. `effect` says when
    what was asked for is done, in seconds of the world's clock after the response: None for never, 0 for before it.
    Only in the last case has `rewrite` the true response to start from; otherwise it gets an empty one. If there is a
    `limit`, it is put in force, and refuses the request.
    """

    kind: str
    rewrite: Rewrite | None = None
    effect: float | None = None
    held: bool = False
    then: Then = nothing
    limit: Limitation | None = None

    def fits(self, call: Call) -> bool:
        """Tell whether it can happen to a request: the global limit is not on answers to interactions."""
        return self.limit is None or self.limit.scope != "global" or not call.path.startswith(UNBOUND)

    def carried_out(self, after: float = AT_ONCE) -> Self:
        """Return the same, though what was asked for is done: before the response, or so many seconds after it."""
        when = f" after {after:g} s" if after else ""
        return replace(self, kind=f"{self.kind}, carried out{when}", effect=after)


def _from_discord(kind: str, sent: Response) -> RequestFault:
    # With the headers that the true response has as well.
    return RequestFault(kind, lambda true: sent.with_headers({**true.headers, **sent.headers}))


def _from_proxy(kind: str, sent: Response) -> RequestFault:
    return RequestFault(kind, lambda _: sent)


def _of_true(kind: str, rewrite: Rewrite) -> RequestFault:
    return RequestFault(kind, rewrite, AT_ONCE)


# No response


def cut() -> RequestFault:
    """Cut the connection; aiohttp's client repeats a GET, PUT or DELETE once if that happens, and tells nobody."""
    return RequestFault("cut")


def held() -> RequestFault:
    """Leave the request without a response, and its connection open."""
    return RequestFault("held", held=True)


# Rate limits


def rate_limit(seconds: float, scope: Scope = "user") -> RequestFault:
    """Refuse this request and all that fall under the limit, until it ends after so many seconds of real time.

    A global limit is on all requests except answers to interactions, Cloudflare's on all requests, and any other on
    those that share this one's bucket.
    """
    return RequestFault(f"429 {scope} for {seconds:g} s", limit=Limitation(scope, seconds))


def daily_quota(seconds: float, status: int = 429) -> RequestFault:
    """Refuse to register commands, as too many were created today; no other request is refused for it."""
    body = {"message": "Max number of daily application command creates has been reached (200)", "code": 30034}
    headers = {**VIA, "Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": "user"}
    return json_body(status, body | {"retry_after": seconds, "global": False}, headers, kind=f"{status}/30034")


# Other responses


def json_body(
    status: int, body: Any, headers: Mapping[str, str] | None = None, kind: str | None = None
) -> RequestFault:
    """Answer with any JSON."""
    return _from_discord(kind or str(status), response.of_json(status, body, headers))


def refusal(status: int, code: int | None = 0, message: str = "Made to fail") -> RequestFault:
    """Answer with an error in Discord's form; a code of None is left out."""
    body: Payload = {"message": message} | ({} if code is None else {"code": code})
    return _from_discord(
        f"{status} without a code" if code is None else f"{status}/{code}", response.of_json(status, body)
    )


def html(status: int) -> RequestFault:
    """Answer with a page of HTML, as proxies do."""
    return _from_proxy(f"{status} HTML", response.of_page(status, f"Error {status}"))


def empty(status: int = 200) -> RequestFault:
    """Answer with no body."""
    return _from_proxy(f"{status} empty", Response(status))


# True responses that are changed


def rewritten(kind: str, change: Callable[[Any], Any]) -> RequestFault:
    """Carry the request out, and answer with JSON that is made from the true one."""
    return _of_true(kind, lambda true: true.with_json(change))


def truncated(*, announced: bool = False) -> RequestFault:
    """Carry the request out, and send half of the JSON; if announced, Content-Length counts the other half as well."""

    def rewrite(true: Response) -> Response:
        half = true.body[: len(true.body) // 2]
        return replace(true, body=half, missing=len(true.body) - len(half) if announced else 0)

    return _of_true("JSON cut short of its length" if announced else "JSON cut", rewrite)


def with_charset() -> RequestFault:
    """Carry the request out, and name a charset in the content type, which is right and unusual."""
    return _of_true("charset", lambda true: replace(true, content_type=f"{response.JSON}; charset=utf-8"))


def misdated(by: timedelta) -> RequestFault:
    """Carry the request out, and answer with another `Date`."""

    def rewrite(true: Response) -> Response:
        return true.with_headers({"Date": date_header.shifted(true.headers["Date"], by)})

    return _of_true(f"Date shifted by {by}", rewrite)


# Lists that lack something


def shortened(by: int = 1) -> RequestFault:
    """Answer a list without its last entries, which the next page begins with."""
    return _of_list(f"list shortened by {by}", lambda entries: entries[:-by])


def emptied() -> RequestFault:
    """Answer an empty list."""
    return _of_list("list emptied", lambda _: [])


def omitting(entry_id: int) -> RequestFault:
    """Answer a list without the entry that has an id."""
    return _of_list(
        f"list without {entry_id}", lambda entries: [each for each in entries if each["id"] != str(entry_id)]
    )


def _of_list(kind: str, change: Callable[[list[Any]], list[Any]]) -> RequestFault:
    # Chance may draw it for a request whose answer is no list.
    return rewritten(kind, lambda body: change(body) if isinstance(body, list) else body)
