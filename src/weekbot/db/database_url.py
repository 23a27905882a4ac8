"""Parses database URLs as operators write them. Error messages contain no part of the URL."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from weekbot.db.errors import DatabaseUnusableError

EXAMPLES = "set WEEKBOT_DATABASE_URL to sqlite:///weekbot.db, or to postgresql://USER:PASSWORD@HOST/NAME"
UNREADABLE = (
    "WEEKBOT_DATABASE_URL can't be read: write postgresql://USER:PASSWORD@HOST:PORT/NAME, with special characters in "
    "the user and the password percent-encoded (%40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %25 for %)."
)
_SERVER = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d*))?")
_LARGEST_PORT = 65535

Server = tuple[str, str]
"""A host or a socket folder, and a port; either may be empty."""


def parse(url: str) -> URL:
    """Parse a database URL. Raises DatabaseUnusableError."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise DatabaseUnusableError(f"WEEKBOT_DATABASE_URL isn't a database URL; {EXAMPLES}")
    backend = scheme.partition("+")[0]
    if backend in ("postgresql", "postgres"):
        return _postgresql(rest)
    if backend == "sqlite":
        return _sqlite(url)
    raise DatabaseUnusableError(f"weekbot keeps its data in SQLite or PostgreSQL; {EXAMPLES}")


def servers_of(url: URL) -> Sequence[str]:
    """Return the hosts and socket folders of a PostgreSQL URL."""
    named = url.query.get("host") or url.host or ()
    return named.split(",") if isinstance(named, str) else named


def _sqlite(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusableError(f"WEEKBOT_DATABASE_URL isn't a database URL; {EXAMPLES}") from None
    if parsed.host or parsed.query:
        raise DatabaseUnusableError(
            "WEEKBOT_DATABASE_URL must name a SQLite file after three slashes, and nothing else; set it to "
            "sqlite:///weekbot.db, or sqlite:////srv/weekbot.db for an absolute path."
        )
    if parsed.database in (None, "", ":memory:"):
        raise DatabaseUnusableError(
            "WEEKBOT_DATABASE_URL keeps the database in memory, where it is lost when weekbot stops; use a file, such "
            "as sqlite:///weekbot.db."
        )
    return parsed


def _postgresql(rest: str) -> URL:
    """Parse the part after `://`. Several hosts are separated by commas, as in libpq.

    An unescaped `@` raises an error, because the rest of a password would be taken for a host.
    """
    credentials, _, place = rest.rpartition("@")
    if "@" in credentials or "?" in credentials:
        raise DatabaseUnusableError(UNREADABLE)
    user, has_password, password = credentials.partition(":")
    before, _, query = place.partition("?")
    hosts, _, name = before.partition("/")
    options = _options(query)
    servers = _servers(options.pop("host") or unquote(hosts), options.pop("port"))
    secret = unquote(password) if has_password else None
    url = URL.create("postgresql", unquote(user) or None, secret, database=unquote(name) or None, query=options)
    [(host, port), *more] = servers
    if not more and not host.startswith("/"):
        return url.set(host=host or None, port=int(port) if port else None)
    joined_hosts, ports = (",".join(each) for each in zip(*servers, strict=True))
    return url.update_query_dict({"host": joined_hosts} | ({"port": ports} if ports.strip(",") else {}))


def _options(query: str) -> dict[str, str]:
    """Parse the options. `host` and `port` are always there: the values of several are joined with commas."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise DatabaseUnusableError(UNREADABLE) from None
    return dict(pairs) | {key: ",".join(value for name, value in pairs if name == key) for key in ("host", "port")}


def _servers(hosts: str, ports: str) -> list[Server]:
    """Pair hosts and ports: each host has its own port, or `ports` has one for all or one for each."""
    servers = [_server(each) for each in hosts.split(",")]
    if not ports:
        return servers
    listed = ports.split(",") * (1 if "," in ports else len(servers))
    if len(listed) != len(servers) or not all(map(_is_port, listed)):
        raise DatabaseUnusableError(UNREADABLE)
    return [(host, port) for (host, _), port in zip(servers, listed, strict=True)]


def _server(text: str) -> Server:
    if text.count(":") > 1 and not text.startswith("["):
        return text, ""  # an IPv6 address, which libpq accepts without brackets in an option
    match = _SERVER.fullmatch(text)
    if match is None or not _is_port(match["port"] or ""):
        raise DatabaseUnusableError(UNREADABLE)
    return match["ipv6"] or match["host"], match["port"] or ""


def _is_port(text: str) -> bool:
    return not text or (text.isdecimal() and 0 < int(text) <= _LARGEST_PORT)
