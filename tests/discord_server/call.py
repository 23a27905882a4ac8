"""Requests to the HTTP API and replies, independent of an HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .attachment import Uploads
from .error import ApiError

if TYPE_CHECKING:
    from .world import World


@dataclass(frozen=True)
class Call:
    """A request."""

    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    uploads: Uploads = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name by which faults are counted."""
        return self.method

    @property
    def key(self) -> str:
        """Return the key on which random faults depend."""
        return f"{self.method} {self.path}"

    def id(self, name: str) -> int:
        """Return an ID from the path."""
        return int(self.parameters[name])

    def limit(self, default: int, maximum: int = 100) -> int:
        """Return the number of requested objects."""
        limit = int(self.query.get("limit", default))
        if not 1 <= limit <= maximum:
            raise ApiError(50035)
        return limit


@dataclass(frozen=True)
class Reply:
    """A reply; one with 204 has no body."""

    body: Any = None
    status: int = 200


NO_CONTENT = Reply(status=204)

Handler: TypeAlias = "Callable[[World, Call], Reply]"


@dataclass(frozen=True)
class Route:
    """A method and a path template in the notation of Discord's documentation."""

    method: str
    path: str
    handler: Handler
    needs_token: bool


@dataclass
class Routes:
    """A group of routes, filled by decorating their handlers."""

    routes: list[Route] = field(default_factory=list)

    def on(self, method: str, *paths: str, needs_token: bool = True) -> Callable[[Handler], Handler]:
        """Make a function the handler of one or more paths."""

        def register(handler: Handler) -> Handler:
            self.routes += [Route(method, path, handler, needs_token) for path in paths]
            return handler

        return register
