"""Finds words that mix scripts, in which one letter can pass for another, such as a Cyrillic one in `flask`."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from weekbot.content.characters import character_name

_WORD = re.compile(r"[^\W\d_]+")
_LATIN = "LATIN"
_MAY_ACCOMPANY_LATIN = frozenset({_LATIN, "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})  # according to UTS 39
_CONFUSABLE_WITH_LATIN = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GEORGIAN", "LISU"})
_NOT_CONFUSABLE = frozenset("ΓΔΘΛΞΠΣΦΨΩβδεζηθλμξπστφψωµΩªº")  # in formulas, units and ordinals: `Δt`, `kΩ`, `nº`


def mixed_words_in_prose(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word of Latin and confusable letters, with a message; formulas may contain Greek letters."""
    return _mixed_words(text, lambda script: script in _CONFUSABLE_WITH_LATIN)


def mixed_words_in_code(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word of Latin and other letters, with a message, because it can be copied or typed."""
    return _mixed_words(text, lambda script: script not in _MAY_ACCOMPANY_LATIN)


def _mixed_words(text: str, is_suspicious: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    if text.isascii():
        return
    for word in dict.fromkeys(_WORD.findall(text)):
        scripts = {} if word.isascii() else {letter: script for letter in word if (script := _script(letter))}
        suspicious = next((letter for letter, script in scripts.items() if is_suspicious(script)), None)
        if suspicious and _LATIN in scripts.values():
            yield word, f"{word} has {character_name(suspicious)} among Latin letters; retype the word"


def _script(letter: str) -> str | None:
    """Return the first word of the letter's name; None for unconfusable letters and for small raised ones."""
    if letter in _NOT_CONFUSABLE or unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    return unicodedata.name(letter, "").partition(" ")[0]
