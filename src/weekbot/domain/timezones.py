"""Time zones as people type them: by city, country (`japan`), abbreviation (`pst`) or offset (`utc+2`)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from weekbot.runtime.errors import WeekbotError

MAX_CHOICES = 25
# The zones that people mean most often, of the many that share an abbreviation.
WELL_KNOWN = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Halifax",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Lisbon",
    "Europe/Berlin",
    "Europe/Athens",
    "Europe/Moscow",
    "Africa/Lagos",
    "Africa/Maputo",
    "Africa/Johannesburg",
    "Africa/Nairobi",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Asia/Singapore",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Pacific/Honolulu",
    "Pacific/Pago_Pago",
)
# IANA's names without a place, in lower case, except `EST`, `MST`, `HST`, `CET`, `EET` and `WET`: people who type these
# usually mean a place with summer time. See docs/decisions.md.
OTHER_NAMES = {
    **dict.fromkeys(["gmt", "gmt0", "greenwich", "uct", "universal", "z", "zulu"], "UTC"),
    "est5edt": "America/New_York",
    "cst6cdt": "America/Chicago",
    "mst7mdt": "America/Denver",
    "pst8pdt": "America/Los_Angeles",
    "met": "Europe/Berlin",
    "cuba": "America/Havana",
    "egypt": "Africa/Cairo",
    "eire": "Europe/Dublin",
    "gb": "Europe/London",
    "gb-eire": "Europe/London",
    "hongkong": "Asia/Hong_Kong",
    "iceland": "Atlantic/Reykjavik",
    "iran": "Asia/Tehran",
    "israel": "Asia/Jerusalem",
    "japan": "Asia/Tokyo",
    "libya": "Africa/Tripoli",
    "navajo": "America/Denver",
    "nz": "Pacific/Auckland",
    "nz-chat": "Pacific/Chatham",
    "poland": "Europe/Warsaw",
    "portugal": "Europe/Lisbon",
    "prc": "Asia/Shanghai",
    "roc": "Asia/Taipei",
    "rok": "Asia/Seoul",
    "turkey": "Europe/Istanbul",
    "w-su": "Europe/Moscow",
}
_WINTER_AND_SUMMER = (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC))
_OFFSET = re.compile(r"(?:utc|gmt)?\s*(?P<sign>[+\-−])\s*(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?")
_FIXED = re.compile(r"Etc/GMT(?P<sign>[+-])(?P<hours>\d+)")
_UTC = re.compile(r"Etc/(?:GMT[+-]?0?|Greenwich|UCT|UTC|Universal|Zulu)")


@cache
def _zones() -> dict[str, str]:
    """Map the lower-case names of IANA zones that are named after a place to the zones."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return {name.casefold(): name for name in sorted([*places, "UTC"])}


@cache
def _names() -> dict[str, str]:
    """Map all lower-case names that mean one zone to that zone."""
    in_etc = [name for name in available_timezones() if name.startswith("Etc/")]
    fixed = {name.casefold(): "UTC" if _UTC.fullmatch(name) else name for name in in_etc}
    return fixed | OTHER_NAMES | _zones()


@cache
def _clocks() -> dict[str, tuple[datetime, ...]]:
    """Map zones, well-known ones first, to their local times in winter and in summer. Cached because it is slow."""
    names = dict.fromkeys([*WELL_KNOWN, *_zones().values()])
    return {name: tuple(each.astimezone(ZoneInfo(name)) for each in _WINTER_AND_SUMMER) for name in names}


@cache
def _by_abbreviation() -> dict[str, list[str]]:
    """Map abbreviations, such as `cet` and `cest`, to their zones, well-known ones first."""
    found: dict[str, list[str]] = {}
    for name, clocks in _clocks().items():
        for abbreviation in {(clock.tzname() or "").casefold() for clock in clocks}:
            if abbreviation.isalpha():
                found.setdefault(abbreviation, []).append(name)
    return found


@cache
def _fixed_zones() -> set[str]:
    return {"UTC", *(name for name in available_timezones() if _FIXED.fullmatch(name))}


def parse(text: str) -> str:
    """Return the IANA zone of a name, city, abbreviation or offset. Raises WeekbotError if it is unknown."""
    wanted = text.strip().casefold().replace(" ", "_")
    zone = _names().get(wanted) or _fixed_zone(text)
    cities = [name for key, name in _zones().items() if key.endswith(f"/{wanted}")]
    if zone is None and len(cities) == 1:
        zone = cities[0]
    if zone is None and not cities:
        zone = next(iter(_by_abbreviation().get(wanted, [])), None)
    if zone is None:
        near = next(iter(suggest(text)), "Europe/Berlin")
        raise WeekbotError(
            "I don't know that time zone. Use a name such as `{zone}`, or type a city to get suggestions.", zone=near
        )
    return zone


def suggest(typed: str) -> list[str]:
    """Return the zones of a name, an abbreviation or an offset, then those whose city or name matches."""
    wanted = typed.strip().casefold().replace(" ", "_")
    named = [*_zones().items(), *OTHER_NAMES.items()]
    ranked = sorted((_rank(key, wanted), name) for key, name in named if wanted in key)
    same = [_names()[wanted]] if wanted in _names() else []
    meant = [*same, *_by_abbreviation().get(wanted, [])[: MAX_CHOICES // 2], *_at_offset(typed)]
    return list(dict.fromkeys([*meant, *(name for _, name in ranked)]))[:MAX_CHOICES]


def label(zone: str) -> str:
    """Return the zone's name for display; IANA's fixed zones have the sign the other way round."""
    fixed = _FIXED.fullmatch(zone)
    return zone if fixed is None else f"UTC{'-' if fixed['sign'] == '+' else '+'}{fixed['hours']}"


def _rank(key: str, wanted: str) -> int:
    city = key.rsplit("/", 1)[-1]
    return 0 if city.startswith(wanted) else 1 if key.startswith(wanted) else 2


def _offset(text: str) -> timedelta | None:
    """Parse an offset from UTC; None if the text isn't one."""
    match = _OFFSET.fullmatch(text.strip().casefold())
    if match is None:
        return None
    size = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    return size if match["sign"] == "+" else -size


def _fixed_zone(text: str) -> str | None:
    """Return the zone with that constant offset; IANA has those of whole hours only."""
    offset = _offset(text)
    if offset is None or offset % timedelta(hours=1):
        return None
    hours = offset // timedelta(hours=1)
    name = f"Etc/GMT{-hours:+d}" if hours else "UTC"
    return name if name in _fixed_zones() else None


def _at_offset(text: str) -> Iterator[str]:
    offset = _offset(text)
    if offset is None:
        return
    if fixed := _fixed_zone(text):
        yield fixed
    yield from (name for name, (winter, _) in _clocks().items() if winter.utcoffset() == offset)
