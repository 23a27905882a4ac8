"""Time zones as people type them."""

from contextlib import suppress
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekbot.bot import timezones
from weekbot.errors import WeekbotError


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
        ("gmt", "Europe/London"),
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


@pytest.mark.parametrize(
    ("typed", "among"),
    [
        ("berl", ["Europe/Berlin"]),
        ("pst", ["America/Los_Angeles"]),
        ("cst", ["America/Chicago", "Asia/Shanghai"]),
        ("utc+2", ["Etc/GMT-2", "Europe/Athens"]),
        ("utc+5:30", ["Asia/Kolkata"]),
        ("utc-3", ["Etc/GMT+3", "America/Sao_Paulo"]),
    ],
)
def test_what_is_meant_is_offered_first(typed: str, among: list[str]) -> None:
    assert timezones.suggest(typed)[: len(among) + 1][: len(among)] == among


@pytest.mark.parametrize("typed", ["utc+99", "utc+5:30", "utc+2:75", "mars", "xst", "+", "utc+", "/5", "utc.2"])
def test_what_is_no_zone_or_not_one_alone_is_a_sentence_with_a_hint(typed: str) -> None:
    with pytest.raises(WeekbotError, match="Type one such as `"):
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
