"""The languages that the bot speaks, from the catalogues in `locale/`.

English is what stands in the code. What is shown is translated where it is shown, by the `Language` handed in; a text
that waits to be shown, such as a constant or an error, is marked by `N_` or is an error's first argument.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from weekbot.runtime.errors import WeekbotError

CATALOGUES = Path(__file__).parent / "locale"
DOMAIN = "weekbot"
LOCALES: Final = ("en", "de", "es", "fr", "pt_BR")
_SHORT = {"en": "en", "de": "de", "es": "es", "fr": "fr", "pt": "pt_BR"}

Context = Literal["command", "option"]
"""What a single word names: translators see it, and one word may be another in each."""

_COMMAND = re.compile(r"`/([a-z]+)((?: [a-z]+)?)`")


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """The message as it is, marked for the catalogues."""
    return message


class Language:
    """Called with an English message of the catalogues, it gives it in its own words.

    `` `/weekly status` `` in a message becomes the command's name in this language.
    """

    def __init__(self, locale: str, translations: NullTranslations) -> None:
        self.locale = locale
        self._translations = translations

    def __call__(self, message: str, /, **values: object) -> str:
        """The message with the values filled in; a list becomes `one, two and three`, each translated."""
        # What the catalogues have for an empty message is their head.
        return self._filled(self._translations.gettext(message) if message else "", values)

    def plural(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The message for so many; `count` is filled in as well."""
        return self._filled(self._translations.ngettext(one, many, count), {"count": count, **values})

    def word(self, context: Context, word: str) -> str:
        """What a command or an option is called."""
        return self._translations.pgettext(context, word)

    def error(self, error: WeekbotError) -> str:
        """What went wrong."""
        return self(error.sentence, **error.values)

    def reason(self, reason: str) -> str:
        """A reason that was recorded in English, as far as it is known: `what (detail)`, or `what: why`."""
        whole = self(reason)
        if whole != reason:
            return whole
        if detailed := re.fullmatch(r"([^:(]+)( \(.*\))", reason, re.DOTALL):
            return f"{self(detailed[1])}{detailed[2]}"
        what, colon, why = reason.partition(": ")
        return f"{self(what)}: {self.reason(why)}" if colon else reason

    def listed(self, items: Sequence[str]) -> str:
        """`one, two and three`."""
        return format_list(items, locale="en_001" if self.locale == "en" else self.locale)

    def _filled(self, text: str, values: Mapping[str, object]) -> str:
        named = _COMMAND.sub(self._command, text) if self.locale != "en" else text
        filled = {name: self._value(value) for name, value in values.items()}
        return named.format_map(filled) if filled else named

    def _value(self, value: object) -> object:
        return self.listed([self(each) for each in value]) if isinstance(value, list) else value

    def _command(self, match: re.Match[str]) -> str:
        words = [self.word("command", word) for word in f"{match[1]}{match[2]}".split()]
        return f"`/{' '.join(words)}`"


def language_of(locale: str | None) -> Language:
    """The language for one of Discord's locales, such as `es-419`; English where the bot does not speak it."""
    return _language(_SHORT.get((locale or "en").replace("_", "-").partition("-")[0], "en"))


@cache
def _language(locale: str) -> Language:
    return Language(locale, NullTranslations() if locale == "en" else _translations(locale))


def _translations(locale: str) -> GNUTranslations:
    compiled = BytesIO()
    with catalogue_file(locale).open("rb") as file:
        write_mo(compiled, read_po(file, locale, DOMAIN))
    compiled.seek(0)
    return GNUTranslations(compiled)


def catalogue_file(locale: str) -> Path:
    return CATALOGUES / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


ENGLISH: Final = _language("en")


def languages() -> list[Language]:
    """All of them, English first."""
    return [_language(locale) for locale in LOCALES]
