"""The interface's catalogues are complete, up to date and valid."""

import re
from collections.abc import Iterator
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from discord import app_commands

from catalogues import commands, template, updated
from weekbot.bot.commands import Command
from weekbot.i18n.language import LOCALES, Language, catalogue_file, language_of

TRANSLATED = LOCALES[1:]
MESSAGES = template()
COMMAND = re.compile(r"`/[a-z]+(?: [a-z]+)?`")
CODE = re.compile(r"`[^`]*`")
NAME = re.compile(r"[-_\w]{1,32}")  # Discord's rule for commands and options, in lower case
BUTTON_LENGTH = 38  # fits on a phone; Discord allows 80
BUTTONS = ("I finished it", "Quiz me", "More", "Docs", "Source", "Website", "Take it back", "Manage", "Post now")
DESCRIPTION_LENGTH = 100
THREAD_TITLE_LENGTH = 100 - 60  # what remains of a thread's name after a topic's title


def catalogue_of(locale: str) -> Catalog:
    with catalogue_file(locale).open("rb") as file:
        return read_po(file, locale)


CATALOGUES = {locale: catalogue_of(locale) for locale in TRANSLATED}


def messages(locale: str) -> Iterator[tuple[Message, list[tuple[str, str]]]]:
    """Yield each message with pairs of its texts and their translations."""
    for message in CATALOGUES[locale]:
        if message.id:
            ids, strings = _texts(message.id), _texts(message.string)
            yield message, [(ids[min(index, len(ids) - 1)], string) for index, string in enumerate(strings)]


def _texts(text: object) -> list[str]:
    return [str(each) for each in text] if isinstance(text, tuple | list) else [str(text)]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def marks(text: str) -> list[str]:
    """Return the Markdown in a text, outside code."""
    return sorted(re.findall(r"\*\*|(?<!\*)\*(?!\*)|\]\(", CODE.sub("", text)))


@pytest.mark.parametrize("locale", TRANSLATED)
def test_a_catalogue_has_exactly_the_messages_of_the_code(locale: str) -> None:
    """`make catalogues` updates it."""
    assert catalogue_file(locale).read_bytes() == updated(locale, MESSAGES)


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_message_is_translated(locale: str) -> None:
    missing = [message.id for message, texts in messages(locale) if not all(string.strip() for _, string in texts)]
    assert not missing
    assert not [message.id for message in CATALOGUES[locale] if message.id and message.fuzzy]


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_translation_has_the_same_placeholders(locale: str) -> None:
    pairs = [pair for _, texts in messages(locale) for pair in texts]
    assert not [(text, translation) for text, translation in pairs if placeholders(text) != placeholders(translation)]


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_translation_names_the_same_commands_in_english(locale: str) -> None:
    """The interface replaces them with their translated names."""
    pairs = [pair for _, texts in messages(locale) for pair in texts]
    wrong = [
        (text, translation)
        for text, translation in pairs
        if sorted(COMMAND.findall(text)) != sorted(COMMAND.findall(translation))
    ]
    assert not wrong


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_translation_has_the_same_markup(locale: str) -> None:
    pairs = [pair for _, texts in messages(locale) for pair in texts]
    assert not [(text, translation) for text, translation in pairs if marks(text) != marks(translation)]
    assert not [
        (text, translation) for text, translation in pairs if len(CODE.findall(text)) != len(CODE.findall(translation))
    ]
    assert not [(text, translation) for text, translation in pairs if text.count("\n") != translation.count("\n")]
    assert not [
        translation
        for text, translation in pairs
        if translation != translation.strip() or (text[-1:] in ".:" and translation[-1:] != text[-1:])
    ]


@pytest.mark.parametrize("locale", TRANSLATED)
def test_command_names_are_valid_in_discord(locale: str) -> None:
    names = [string for message, [(_, string)] in _with_context(locale)]
    assert not [name for name in names if not NAME.fullmatch(name) or name != name.lower()]


def _with_context(locale: str) -> list[tuple[Message, list[tuple[str, str]]]]:
    return [(message, texts) for message, texts in messages(locale) if message.context]


@pytest.mark.parametrize("locale", TRANSLATED)
def test_descriptions_and_labels_fit(locale: str) -> None:
    translations = dict(pair for _, texts in messages(locale) for pair in texts)
    described = {
        text for message, texts in messages(locale) for text, _ in texts if "slash-commands" in dict(message.locations)
    }
    assert not [translations[text] for text in described if len(translations[text]) > DESCRIPTION_LENGTH]
    assert not [translations[text] for text in BUTTONS if len(translations[text]) > BUTTON_LENGTH]
    assert len(translations["This week: {title}"].format(title="")) <= THREAD_TITLE_LENGTH


def test_the_names_of_commands_are_extracted() -> None:
    found = {(message.context, message.id) for message in MESSAGES if message.id}
    assert ("command", "subscribe") in found
    assert ("option", "timezone") in found
    assert (None, "Monday") in found


@pytest.mark.parametrize("locale", TRANSLATED)
def test_sibling_names_are_distinct(locale: str) -> None:
    assert not [names for names in _siblings(language_of(locale), list(commands())) if len(set(names)) < len(names)]


def _siblings(tr: Language, siblings: list[Command]) -> Iterator[list[str]]:
    yield [tr.word("command", command.name) for command in siblings]
    for command in siblings:
        if isinstance(command, app_commands.Group):
            yield from _siblings(tr, command.commands)
        else:
            yield [tr.word("option", parameter.name) for parameter in command.parameters]
