"""Time zones as people type them."""

from functools import cache
from zoneinfo import available_timezones

from weekbot.errors import WeekbotError

MOST_CHOICES = 25


@cache
def _zones() -> dict[str, str]:
    """Every IANA zone that is named after a place, by its name in lower case."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return {name.casefold(): name for name in sorted([*places, "UTC"])}


def parse(text: str) -> str:
    """The IANA zone of that name, or of that city. Raises WeekbotError for an unknown one."""
    wanted = text.strip().casefold().replace(" ", "_")
    zone = _zones().get(wanted)
    cities = [name for key, name in _zones().items() if key.endswith(f"/{wanted}")]
    if zone is None and len(cities) == 1:
        zone = cities[0]
    if zone is None:
        near = suggest(text)[:1]
        hint = f"such as `{near[0]}`" if near else "such as `Europe/Berlin`; the option completes city names"
        raise WeekbotError(f"I know no time zone of that name. Type one {hint}.")
    return zone


def suggest(typed: str) -> list[str]:
    """Zones whose city, else whose name, begins with what was typed, then those that hold it."""
    wanted = typed.strip().casefold().replace(" ", "_")
    ranked = sorted((_rank(key, wanted), name) for key, name in _zones().items() if wanted in key)
    return [name for _, name in ranked[:MOST_CHOICES]]


def _rank(key: str, wanted: str) -> int:
    city = key.rsplit("/", 1)[-1]
    return 0 if city.startswith(wanted) else 1 if key.startswith(wanted) else 2
