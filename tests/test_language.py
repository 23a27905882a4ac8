"""The bot's languages: their choice, and the translation of messages."""

import gettext
from io import BytesIO

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from discord import Locale

from weekbot.i18n.language import ENGLISH, LOCALES, Language, language_of, languages
from weekbot.runtime.errors import WeekbotError

MESSAGES = {
    (None, "{channel} is gone"): "{channel} ist weg",
    (None, "Discord is having problems"): "Discord hat Störungen",
    (None, "the history cannot be read"): "der Verlauf ist nicht lesbar",
    (None, "View Channel"): "Kanal ansehen",
    (None, "Send Messages"): "Nachrichten senden",
    (None, "I lack {permissions}"): "Mir fehlt {permissions}",
    (None, "See `/weekly status` or `/help`"): "Siehe `/weekly status` oder `/help`",
    ("command", "weekly"): "wöchentlich",
    ("command", "status"): "stand",
    ("command", "help"): "hilfe",
    ("option", "status"): "zustand",
}


@pytest.fixture
def german() -> Language:
    """A small catalogue, so that the tests don't depend on the wording of the real one."""
    catalogue, compiled = Catalog("de"), BytesIO()
    for (context, message), said in MESSAGES.items():
        catalogue.add(message, said, context=context)
    catalogue.add(("{count} topic", "{count} topics"), ("{count} Thema", "{count} Themen"))
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language("de", gettext.GNUTranslations(compiled))


@pytest.mark.parametrize(
    ("locale", "spoken"),
    [
        ("de", "de"),
        ("es-ES", "es"),
        ("es-419", "es"),
        ("fr", "fr"),
        ("pt-BR", "pt_BR"),
        ("en-GB", "en"),
        ("ja", "en"),
        ("zh-TW", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_a_locale_of_discords_leads_to_a_language_or_to_english(locale: str | None, spoken: str) -> None:
    assert language_of(locale).locale == spoken


def test_every_language_is_one_of_discords() -> None:
    assert {language_of(locale.value).locale for locale in Locale} == set(LOCALES)
    assert [tr.locale for tr in languages()] == list(LOCALES)


def test_what_is_not_in_the_catalogue_is_said_in_english(german: Language) -> None:
    assert german("Nobody knows {name}.", name="x") == "Nobody knows x."


def test_values_are_filled_in_and_braces_in_them_mean_nothing(german: Language) -> None:
    assert german("{channel} is gone", channel="{0} {x}") == "{0} {x} ist weg"


def test_a_list_is_translated_and_joined(german: Language) -> None:
    names = ["View Channel", "Send Messages"]
    assert german("I lack {permissions}", permissions=names) == "Mir fehlt Kanal ansehen und Nachrichten senden"
    assert ENGLISH("I lack {permissions}", permissions=names) == "I lack View Channel and Send Messages"


@pytest.mark.parametrize(("count", "said"), [(0, "0 Themen"), (1, "1 Thema"), (2, "2 Themen")])
def test_a_count_takes_its_form(german: Language, count: int, said: str) -> None:
    assert german.plural("{count} topic", "{count} topics", count) == said


def test_commands_are_named_as_members_see_them(german: Language) -> None:
    assert german("See `/weekly status` or `/help`") == "Siehe `/wöchentlich stand` oder `/hilfe`"
    assert ENGLISH("See `/weekly status` or `/help`") == "See `/weekly status` or `/help`"


def test_a_command_in_what_a_member_typed_is_left_alone(german: Language) -> None:
    assert german("{channel} is gone", channel="`/help`") == "`/help` ist weg"


def test_a_word_depends_on_what_it_names(german: Language) -> None:
    assert german.word("command", "status") == "stand"
    assert german.word("option", "status") == "zustand"


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("Discord is having problems", "Discord hat Störungen"),
        ("Discord is having problems (503)", "Discord hat Störungen (503)"),
        (
            "the history cannot be read: Discord is having problems (503)",
            "der Verlauf ist nicht lesbar: Discord hat Störungen (503)",
        ),
        ("Maximum number of pins reached: 50", "Maximum number of pins reached: 50"),
        ("what {nobody} knows", "what {nobody} knows"),
        ("", ""),
    ],
)
def test_a_recorded_reason_is_translated_as_far_as_it_is_known(german: Language, recorded: str, said: str) -> None:
    assert german.reason(recorded) == said
    assert ENGLISH.reason(recorded) == recorded


def test_an_error_is_told_in_any_language_and_logged_in_english(german: Language) -> None:
    error = WeekbotError("I lack {permissions}", permissions=["View Channel", "Send Messages"])
    assert german.error(error) == "Mir fehlt Kanal ansehen und Nachrichten senden"
    assert str(error) == "I lack View Channel, Send Messages"


def test_an_error_without_values_may_hold_braces(german: Language) -> None:
    assert german.error(WeekbotError("{x} is no file")) == str(WeekbotError("{x} is no file")) == "{x} is no file"
