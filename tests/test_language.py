"""The choice of a language, and the translation of messages."""

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
    for (context, message), translated in MESSAGES.items():
        catalogue.add(message, translated, context=context)
    catalogue.add(("{count} topic", "{count} topics"), ("{count} Thema", "{count} Themen"))
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language("de", gettext.GNUTranslations(compiled))


@pytest.mark.parametrize(
    ("locale", "language"),
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
def test_a_discord_locale_selects_a_language_or_falls_back_to_english(locale: str | None, language: str) -> None:
    assert language_of(locale).locale == language


def test_every_language_has_a_discord_locale() -> None:
    assert {language_of(locale.value).locale for locale in Locale} == set(LOCALES)
    assert [tr.locale for tr in languages()] == list(LOCALES)


def test_a_message_without_a_translation_is_english(german: Language) -> None:
    assert german("Nobody knows {name}.", name="x") == "Nobody knows x."


def test_values_are_filled_in_and_their_braces_are_literal(german: Language) -> None:
    assert german("{channel} is gone", channel="{0} {x}") == "{0} {x} ist weg"


def test_a_list_is_translated_and_joined(german: Language) -> None:
    names = ["View Channel", "Send Messages"]
    assert german("I lack {permissions}", permissions=names) == "Mir fehlt Kanal ansehen und Nachrichten senden"
    assert ENGLISH("I lack {permissions}", permissions=names) == "I lack View Channel and Send Messages"


@pytest.mark.parametrize(("count", "translated"), [(0, "0 Themen"), (1, "1 Thema"), (2, "2 Themen")])
def test_a_count_selects_the_plural_form(german: Language, count: int, translated: str) -> None:
    assert german.plural("{count} topic", "{count} topics", count) == translated


def test_command_names_are_translated(german: Language) -> None:
    assert german("See `/weekly status` or `/help`") == "Siehe `/wöchentlich stand` oder `/hilfe`"
    assert ENGLISH("See `/weekly status` or `/help`") == "See `/weekly status` or `/help`"


def test_a_command_name_in_a_value_is_not_translated(german: Language) -> None:
    assert german("{channel} is gone", channel="`/help`") == "`/help` ist weg"


def test_the_translation_of_a_word_depends_on_its_context(german: Language) -> None:
    assert german.word("command", "status") == "stand"
    assert german.word("option", "status") == "zustand"


@pytest.mark.parametrize(
    ("recorded", "translated"),
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
def test_the_known_parts_of_a_recorded_reason_are_translated(german: Language, recorded: str, translated: str) -> None:
    assert german.reason(recorded) == translated
    assert ENGLISH.reason(recorded) == recorded


def test_an_error_is_translated_for_members_and_logged_in_english(german: Language) -> None:
    error = WeekbotError("I lack {permissions}", permissions=["View Channel", "Send Messages"])
    assert german.error(error) == "Mir fehlt Kanal ansehen und Nachrichten senden"
    assert str(error) == "I lack View Channel, Send Messages"


def test_an_error_without_values_may_contain_braces(german: Language) -> None:
    assert german.error(WeekbotError("{x} is no file")) == str(WeekbotError("{x} is no file")) == "{x} is no file"
