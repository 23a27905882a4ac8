"""The bot's languages, from the catalogues in `locale/`.

Messages are English in the code, and translated by a `Language` when they are shown. A message that is shown later is
marked with `N_`, or is an error's first argument.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from weekbot.runtime.errors import WeekbotError

CATALOGUES = Path(__file__).parent / "locale"
DOMAIN = "weekbot"
LOCALES: Final = ("en", "de", "es", "fr", "pt_BR")
_SHORT = {"en": "en", "de": "de", "es": "es", "fr": "fr", "pt": "pt_BR"}

Context = Literal["command", "option"]  # the gettext context of a single word

_COMMAND = re.compile(r"`/([a-z]+)((?: [a-z]+)?)`")


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark the message for the catalogues, and return it unchanged."""
    return message


class Language:
    """Translates English messages, and the names of commands in them, such as `` `/weekly status` ``."""

    def __init__(self, locale: str, translations: NullTranslations) -> None:
        self.locale = locale
        self._translations = translations

    def __call__(self, message: str, /, **values: object) -> str:
        """Return the translation with the values filled in; a list becomes `one, two and three`, each translated."""
        # A catalogue's entry for the empty message is its header.
        return self._filled(self._translations.gettext(message) if message else "", values)

    def plural(self, one: str, many: str, count: int, /, **values: object) -> str:
        """Return the translation for this count, with the count and the values filled in."""
        return self._filled(self._translations.ngettext(one, many, count), {"count": count, **values})

    def word(self, context: Context, word: str) -> str:
        return self._translations.pgettext(context, word)

    def error(self, error: WeekbotError) -> str:
        return self(error.sentence, **error.values)

    def reason(self, reason: str) -> str:
        """Translate the known parts of a reason recorded in English, such as `what (detail)` or `what: why`."""
        whole = self(reason)
        if whole != reason:
            return whole
        if detailed := re.fullmatch(r"([^:(]+)( \(.*\))", reason, re.DOTALL):
            return f"{self(detailed[1])}{detailed[2]}"
        what, colon, why = reason.partition(": ")
        return f"{self(what)}: {self.reason(why)}" if colon else reason

    def join(self, items: Sequence[str]) -> str:
        """Join the items as `one, two and three`."""
        from babel.lists import format_list

        return format_list(items, locale="en_001" if self.locale == "en" else self.locale)

    def _filled(self, text: str, values: Mapping[str, object]) -> str:
        named = _COMMAND.sub(self._command, text) if self.locale != "en" else text
        filled = {
            name: self.join(list(map(self, value))) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return named.format_map(filled) if filled else named

    def _command(self, match: re.Match[str]) -> str:
        words = [self.word("command", word) for word in f"{match[1]}{match[2]}".split()]
        return f"`/{' '.join(words)}`"


def language_of(locale: str | None) -> Language:
    """Return the language for one of Discord's locales, such as `es-419`, or English if there is none."""
    return _language(_SHORT.get((locale or "en").replace("_", "-").partition("-")[0], "en"))


@cache
def _language(locale: str) -> Language:
    if locale == "en":
        return Language(locale, NullTranslations())
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with catalogue_file(locale).open("rb") as file:
        write_mo(compiled, read_po(file, locale, DOMAIN))
    compiled.seek(0)
    return Language(locale, GNUTranslations(compiled))


def catalogue_file(locale: str) -> Path:
    return CATALOGUES / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


ENGLISH: Final = _language("en")


def languages() -> list[Language]:
    return [_language(locale) for locale in LOCALES]
