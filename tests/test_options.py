"""Options of `/weekly` that depend on the content, which changes under a subscription."""

import pytest

from weekbot.bot.options import check_start
from weekbot.content.library import Library
from weekbot.errors import WeekbotError
from weekbot.store.subscriptions import Options


def test_a_topic_to_begin_with_is_in_the_track(library: Library) -> None:
    check_start(library, Options("web", start_topic="flask"))
    with pytest.raises(WeekbotError, match="`numpy` is not in the track"):
        check_start(library, Options("web", start_topic="numpy"))


def test_a_track_that_has_left_the_content_goes_on_as_everything(library: Library) -> None:
    check_start(library, Options("gone", start_topic="numpy"))


def test_a_topic_to_begin_with_is_known_by_its_new_name_and_forgiven_once_it_has_left(
    library: Library,
) -> None:
    check_start(library, Options("web", start_topic="pallets-flask"))
    with pytest.raises(WeekbotError, match="`flask` is not in the track"):
        check_start(library, Options("data", start_topic="pallets-flask"))
    check_start(library, Options("web", start_topic="nothing"))
