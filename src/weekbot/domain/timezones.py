"""Time zones as people type them: by city, country (`japan`), abbreviation (`pst`) or offset (`utc+2`)."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel.core import get_global

from weekbot.runtime.errors import WeekbotError

MAX_CHOICES = 25
_CITIES = {
    "America": ("New_York", "Chicago", "Denver", "Los_Angeles", "Anchorage", "Halifax", "Sao_Paulo"),
    "Europe": ("London", "Lisbon", "Berlin", "Athens", "Moscow"),
    "Africa": ("Lagos", "Maputo", "Johannesburg", "Nairobi"),
    "Asia": ("Dubai", "Kolkata", "Shanghai", "Tokyo", "Seoul", "Singapore"),
    "Australia": ("Sydney",),
    "Pacific": ("Auckland", "Honolulu", "Pago_Pago"),
}
WELL_KNOWN = [f"{area}/{city}" for area, cities in _CITIES.items() for city in cities]
"""The zones that people mean most often, of the many that share an abbreviation."""
_ABBREVIATIONS = ("CET", "EET", "EST", "HST", "MST", "WET")
"""IANA's names by which people usually mean a place with summer time. See docs/decisions.md."""
_NAMES_OF_UTC = ("gmt", "gmt0", "greenwich", "uct", "universal", "z", "zulu")
_WINTER_AND_SUMMER = (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC))
_OFFSET = re.compile(r"(?:utc|gmt)?\s*(?P<sign>[+\-−])\s*(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?")
_FIXED = re.compile(r"Etc/GMT(?P<sign>[+-])(?P<hours>[1-9]\d*)")


@cache
def other_names() -> dict[str, str]:
    """Map IANA's other names without a place, such as `Japan`, in lower case, to the places that CLDR gives for them.

    Cached, and computed only when it is used, because CLDR's data takes 2 MB.
    """
    found = {
        name.casefold(): zone
        for name, zone in get_global("zone_aliases").items()
        if "/" not in name and name not in _ABBREVIATIONS and not zone.startswith("Etc/")
    }
    return found | dict.fromkeys(_NAMES_OF_UTC, "UTC") | {"met": "Europe/Berlin"}


@cache
def _zones() -> dict[str, str]:
    """Map the lower-case names of IANA zones that are named after a place to the zones."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return {name.casefold(): name for name in sorted([*places, "UTC"])}


@cache
def _names() -> dict[str, str]:
    """Map all lower-case names that mean one zone to that zone."""
    in_etc = [name for name in available_timezones() if name.startswith("Etc/")]
    fixed = {name.casefold(): name if _FIXED.fullmatch(name) else "UTC" for name in in_etc}
    return fixed | other_names() | _zones()


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


def parse(text: str) -> str:
    """Return the IANA zone of a name, city, abbreviation or offset. Raises WeekbotError if it is unknown."""
    wanted = _key(text)
    if zone := _names().get(wanted) or _fixed_zone(_offset(text)):
        return zone
    found = [name for key, name in _zones().items() if key.endswith(f"/{wanted}")]
    found = found or _by_abbreviation().get(wanted, [])[:1]
    if len(found) == 1:
        return found[0]
    near = next(iter(suggest(text)), "Europe/Berlin")
    raise WeekbotError(
        "I don't know that time zone. Use a name such as `{zone}`, or type a city to get suggestions.", zone=near
    )


def suggest(typed: str) -> list[str]:
    """Return the zones of a name, an abbreviation or an offset, then those whose city or name matches."""
    wanted, offset = _key(typed), _offset(typed)
    meant = [
        _names().get(wanted),
        *_by_abbreviation().get(wanted, [])[: MAX_CHOICES // 2],
        _fixed_zone(offset),
        *(name for name, (winter, _) in _clocks().items() if winter.utcoffset() == offset),
    ]
    named = [*_zones().items(), *other_names().items()]
    ranked = sorted((_rank(key, wanted), name) for key, name in named if wanted in key)
    return list(dict.fromkeys(filter(None, [*meant, *(name for _, name in ranked)])))[:MAX_CHOICES]


def label(zone: str) -> str:
    """Return the zone's name for display; IANA's fixed zones have the sign the other way round."""
    fixed = _FIXED.fullmatch(zone)
    return zone if fixed is None else f"UTC{'-' if fixed['sign'] == '+' else '+'}{fixed['hours']}"


def _key(text: str) -> str:
    return text.strip().casefold().replace(" ", "_")


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


def _fixed_zone(offset: timedelta | None) -> str | None:
    """Return the zone with that constant offset; IANA has those of whole hours only."""
    if offset is None or offset % timedelta(hours=1):
        return None
    hours = offset // timedelta(hours=1)
    return _names().get(f"etc/gmt{-hours:+d}") if hours else "UTC"
