"""Typed time zones."""

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
def test_a_zone_is_found_by_city_abbreviation_and_offset(typed: str, zone: str) -> None:
    assert timezones.parse(typed) == zone
    assert ZoneInfo(zone)


WITH_SUMMER_TIME = {"EST", "MST"}  # people mean the zones with summer time; IANA's zones of these names have none
NOT_REAL_ZONES = {"Factory", "localtime", "posixrules"}
WITHOUT_CITY = {name for name in available_timezones() if "/" not in name}
DAYS = [datetime(2026, month, 15, tzinfo=UTC) for month in range(1, 13)]


@pytest.mark.parametrize("name", sorted(WITHOUT_CITY - WITH_SUMMER_TIME - NOT_REAL_ZONES))
def test_a_name_without_a_city_has_the_same_offsets_as_in_iana(name: str) -> None:
    parsed = ZoneInfo(timezones.parse(name))
    assert [day.astimezone(parsed).utcoffset() for day in DAYS] == [
        day.astimezone(ZoneInfo(name)).utcoffset() for day in DAYS
    ]


def test_the_zones_of_all_names_and_abbreviations_exist() -> None:
    assert {*timezones.WELL_KNOWN, *timezones.other_names().values()} <= available_timezones()


@pytest.mark.parametrize("typed", ["utc+2", "utc-3", "gmt", "pst", "z", "japan", "utc+5:30", "ber", ""])
def test_a_suggested_zone_can_be_chosen(typed: str) -> None:
    suggested = timezones.suggest(typed)
    assert suggested
    assert [timezones.parse(zone) for zone in suggested] == suggested


@pytest.mark.parametrize(
    ("typed", "first"),
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
def test_the_intended_zone_is_suggested_first(typed: str, first: list[str]) -> None:
    assert timezones.suggest(typed)[: len(first) + 1][: len(first)] == first


@pytest.mark.parametrize("typed", ["utc+99", "utc+5:30", "utc+2:75", "mars", "xst", "+", "utc+", "/5", "utc.2"])
def test_an_unknown_or_ambiguous_zone_is_an_error_with_a_hint(typed: str) -> None:
    with pytest.raises(WeekbotError, match="such as `"):
        timezones.parse(typed)


@pytest.mark.parametrize(("zone", "label"), [("Etc/GMT-2", "UTC+2"), ("Etc/GMT+11", "UTC-11"), ("UTC", "UTC")])
def test_fixed_zones_are_labelled_with_their_utc_offset(zone: str, label: str) -> None:
    assert timezones.label(zone) == label


@given(st.text() | st.from_regex(r"(?:utc)?[+-]\d{1,3}(?::\d\d)?", fullmatch=True))
def test_any_text_leads_only_to_existing_zones(typed: str) -> None:
    suggested = timezones.suggest(typed)
    assert len(suggested) <= 25
    assert len(set(suggested)) == len(suggested)
    assert set(suggested) <= available_timezones()
    with suppress(WeekbotError):
        assert timezones.parse(typed) in available_timezones()
