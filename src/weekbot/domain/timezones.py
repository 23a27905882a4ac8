"""Time zones as people type them: by city, country (`japan`), abbreviation (`pst`), or distance from UTC (`utc+2`)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from weekbot.runtime.errors import WeekbotError

MOST_CHOICES = 25
# Of the many zones that share an abbreviation, these are meant most often.
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
# mean the clock on their wall, which has summer time in most such places. See docs/decisions.md.
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
    """Every IANA zone that is named after a place, by its name in lower case."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return {name.casefold(): name for name in sorted([*places, "UTC"])}


@cache
def _names() -> dict[str, str]:
    """All names that mean one zone by themselves, in lower case, and that zone."""
    in_etc = {
        name: "UTC" if _UTC.fullmatch(name) else name for name in available_timezones() if name.startswith("Etc/")
    }
    return {name.casefold(): zone for name, zone in in_etc.items()} | OTHER_NAMES | _zones()


@cache
def _clocks() -> dict[str, tuple[datetime, ...]]:
    """By zone, well-known ones first, what its clocks show in winter and in summer; read once, as it takes a while."""
    names = dict.fromkeys([*WELL_KNOWN, *_zones().values()])
    return {name: tuple(each.astimezone(ZoneInfo(name)) for each in _WINTER_AND_SUMMER) for name in names}


@cache
def _by_abbreviation() -> dict[str, list[str]]:
    """By what its time is called in winter or in summer, such as `cet` and `cest`, the zones, well-known ones first."""
    found: dict[str, list[str]] = {}
    for name, clocks in _clocks().items():
        for called in {(clock.tzname() or "").casefold() for clock in clocks}:
            if called.isalpha():
                found.setdefault(called, []).append(name)
    return found


@cache
def _fixed_zones() -> set[str]:
    return {"UTC", *(name for name in available_timezones() if _FIXED.fullmatch(name))}


def parse(text: str) -> str:
    """The IANA zone of that name, city, abbreviation or distance from UTC. Raises WeekbotError for an unknown one."""
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
    """What is meant by a name, an abbreviation or a distance from UTC, then zones by city or name."""
    wanted = typed.strip().casefold().replace(" ", "_")
    named = [*_zones().items(), *OTHER_NAMES.items()]
    ranked = sorted((_rank(key, wanted), name) for key, name in named if wanted in key)
    same = [_names()[wanted]] if wanted in _names() else []
    meant = [*same, *_by_abbreviation().get(wanted, [])[: MOST_CHOICES // 2], *_at_offset(typed)]
    return list(dict.fromkeys([*meant, *(name for _, name in ranked)]))[:MOST_CHOICES]


def label(zone: str) -> str:
    """As it is shown: the fixed zones of IANA's are named the other way round."""
    fixed = _FIXED.fullmatch(zone)
    return zone if fixed is None else f"UTC{'-' if fixed['sign'] == '+' else '+'}{fixed['hours']}"


def _rank(key: str, wanted: str) -> int:
    city = key.rsplit("/", 1)[-1]
    return 0 if city.startswith(wanted) else 1 if key.startswith(wanted) else 2


def _offset(text: str) -> timedelta | None:
    """The distance from UTC that the text names; None where it names none."""
    match = _OFFSET.fullmatch(text.strip().casefold())
    if match is None:
        return None
    size = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    return size if match["sign"] == "+" else -size


def _fixed_zone(text: str) -> str | None:
    """A zone that is always so far from UTC; IANA has them for whole hours."""
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
