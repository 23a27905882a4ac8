"""Time zones as people type them."""

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekbot.domain import timezones
from weekbot.runtime.errors import WeekbotError


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("berlin", "Europe/Berlin"),
        ("Europe/Berlin", "Europe/Berlin"),
        (" new york ", "America/New_York"),
        ("utc", "UTC"),
        ("pst", "America/Los_Angeles"),
        ("PDT", "America/Los_Angeles"),
        ("est", "America/New_York"),
        ("cet", "Europe/Berlin"),
        ("CEST", "Europe/Berlin"),
        ("ist", "Asia/Kolkata"),
        ("jst", "Asia/Tokyo"),
        ("aest", "Australia/Sydney"),
        ("bst", "Europe/London"),
        ("hst", "Pacific/Honolulu"),
        ("kst", "Asia/Seoul"),
        ("wet", "Europe/Lisbon"),
        ("ast", "America/Halifax"),
        ("gmt", "UTC"),
        ("GMT", "UTC"),
        ("GMT0", "UTC"),
        ("gmt+0", "UTC"),
        ("Z", "UTC"),
        ("Zulu", "UTC"),
        ("Etc/GMT", "UTC"),
        ("etc/utc", "UTC"),
        ("Etc/GMT-2", "Etc/GMT-2"),
        ("Japan", "Asia/Tokyo"),
        ("singapore", "Asia/Singapore"),
        ("turkey", "Europe/Istanbul"),
        ("GB", "Europe/London"),
        ("nz", "Pacific/Auckland"),
        ("PRC", "Asia/Shanghai"),
        ("EST5EDT", "America/New_York"),
        ("utc+2", "Etc/GMT-2"),
        ("UTC +02:00", "Etc/GMT-2"),
        ("gmt-5", "Etc/GMT+5"),
        ("+3", "Etc/GMT-3"),
        ("utc-0", "UTC"),
    ],
)
def test_a_zone_is_known_by_city_abbreviation_and_distance(typed: str, zone: str) -> None:
    assert timezones.parse(typed) == zone
    assert ZoneInfo(zone)


AS_PEOPLE_MEAN_THEM = {"EST", "MST"}  # IANA's have no summer time
NO_CLOCKS = {"Factory", "localtime", "posixrules"}
WITHOUT_A_PLACE = {name for name in available_timezones() if "/" not in name}
DAYS = [datetime(2026, month, 15, tzinfo=UTC) for month in range(1, 13)]


@pytest.mark.parametrize("name", sorted(WITHOUT_A_PLACE - AS_PEOPLE_MEAN_THEM - NO_CLOCKS))
def test_a_name_without_a_place_shows_the_same_clock_as_iana_has_it(name: str) -> None:
    meant = ZoneInfo(timezones.parse(name))
    assert [day.astimezone(meant).utcoffset() for day in DAYS] == [
        day.astimezone(ZoneInfo(name)).utcoffset() for day in DAYS
    ]


def test_the_zones_that_names_and_abbreviations_mean_exist() -> None:
    assert {*timezones.WELL_KNOWN, *timezones.OTHER_NAMES.values()} <= available_timezones()


@pytest.mark.parametrize("typed", ["utc+2", "utc-3", "gmt", "pst", "z", "japan", "utc+5:30", "ber", ""])
def test_a_zone_that_is_offered_can_be_chosen(typed: str) -> None:
    offered = timezones.suggest(typed)
    assert offered
    assert [timezones.parse(zone) for zone in offered] == offered


@pytest.mark.parametrize(
    ("typed", "among"),
    [
        ("berl", ["Europe/Berlin"]),
        ("pst", ["America/Los_Angeles"]),
        ("cst", ["America/Chicago", "Asia/Shanghai"]),
        ("utc+2", ["Etc/GMT-2", "Europe/Athens"]),
        ("utc+5:30", ["Asia/Kolkata"]),
        ("utc-3", ["Etc/GMT+3", "America/Sao_Paulo"]),
        ("gmt", ["UTC", "Europe/London"]),
        ("jap", ["Asia/Tokyo"]),
        ("Turkey", ["Europe/Istanbul"]),
        ("est5", ["America/New_York"]),
    ],
)
def test_what_is_meant_is_offered_first(typed: str, among: list[str]) -> None:
    assert timezones.suggest(typed)[: len(among) + 1][: len(among)] == among


@pytest.mark.parametrize("typed", ["utc+99", "utc+5:30", "utc+2:75", "mars", "xst", "+", "utc+", "/5", "utc.2"])
def test_what_is_no_zone_or_not_one_alone_is_a_sentence_with_a_hint(typed: str) -> None:
    with pytest.raises(WeekbotError, match="such as `"):
        timezones.parse(typed)


@pytest.mark.parametrize(("zone", "label"), [("Etc/GMT-2", "UTC+2"), ("Etc/GMT+11", "UTC-11"), ("UTC", "UTC")])
def test_fixed_zones_are_shown_the_way_people_count(zone: str, label: str) -> None:
    assert timezones.label(zone) == label


@given(st.text() | st.from_regex(r"(?:utc)?[+-]\d{1,3}(?::\d\d)?", fullmatch=True))
def test_whatever_is_typed_only_zones_are_offered_and_parsed(typed: str) -> None:
    offered = timezones.suggest(typed)
    assert len(offered) <= 25
    assert len(set(offered)) == len(offered)
    assert set(offered) <= available_timezones()
    with suppress(WeekbotError):
        assert timezones.parse(typed) in available_timezones()
