"""HTTP responses as they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from .call import Reply

JSON = "application/json"
HTML = "text/html; charset=UTF-8"
PLAIN = "text/plain"


@dataclass(frozen=True)
class Response:
    """A status, headers and bytes, which may differ from Discord's.

    Content-Length exceeds the body by the `missing` bytes; then the connection is closed.
    """

    status: int
    body: bytes = b""
    content_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the response with more headers."""
        return replace(self, headers={**self.headers, **headers})

    def with_json(self, change: Callable[[Any], Any]) -> Self:
        """Return the response with a changed JSON body; one without a body is unchanged."""
        return replace(self, body=json.dumps(change(json.loads(self.body))).encode()) if self.body else self


def of_json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    # No charset in the content type: with one, discord.py treats JSON as text.
    return Response(status, json.dumps(body).encode(), JSON, headers or {})


def of_text(status: int, text: str, content_type: str = PLAIN, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a text. Default: plain text."""
    return Response(status, text.encode(), content_type, headers or {})


def of_reply(reply: Reply) -> Response:
    """Return a reply as Discord sends it."""
    return Response(reply.status, content_type=None) if reply.status == 204 else of_json(reply.status, reply.body)


# Longer than a message may be, so that showing such a page unchanged fails.
FILLER = "<!-- Such pages have styles, scripts and comments. -->\n" * 80


def of_page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an HTML page, as Cloudflare or another proxy sends it."""
    head = f'<head><meta charset="UTF-8"><title>{title} | discord.com</title>\n{FILLER}</head>'
    body = f'<body><h1>{title}</h1><p>Ray ID: <code>8f3a</code></p><a href="https://www.cloudflare.com">…</a></body>'
    return of_text(status, f'<!DOCTYPE html>\n<html lang="en-US">\n{head}\n{body}\n</html>\n', HTML, headers)
