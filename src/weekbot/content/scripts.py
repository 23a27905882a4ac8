"""Words that mix scripts, in which one letter passes for another: a Cyrillic one in `flask`, for example."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from weekbot.content.characters import named

_WORD = re.compile(r"[^\W\d_]+")
_LATIN = "LATIN"
_BESIDE_LATIN = frozenset({_LATIN, "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})  # as UTS 39 has it
_DOUBLES = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GEORGIAN", "LISU"})
_LIKE_NO_LATIN_LETTER = frozenset("ΓΔΘΛΞΠΣΦΨΩβδεζηθλμξπστφψωµΩªº")  # in formulas, units and ordinals: `Δt`, `kΩ`, `nº`


def mixed_in_prose(text: str) -> Iterator[tuple[str, str]]:
    """Each word of Latin letters and their doubles, with what is wrong; Greek letters are formulas' there."""
    return _mixed(text, lambda script: script in _DOUBLES)


def mixed_in_code(text: str) -> Iterator[tuple[str, str]]:
    """Each word of Latin letters and others, with what is wrong: what is copied or typed must be what it looks like."""
    return _mixed(text, lambda script: script not in _BESIDE_LATIN)


def _mixed(text: str, is_strange: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    if text.isascii():
        return
    for word in dict.fromkeys(_WORD.findall(text)):
        scripts = {} if word.isascii() else {letter: script for letter in word if (script := _script(letter))}
        strange = next((letter for letter, script in scripts.items() if is_strange(script)), None)
        if strange and _LATIN in scripts.values():
            yield word, f"{word} has {named(strange)} among Latin letters; retype the word"


def _script(letter: str) -> str | None:
    """The first word of its name; None for what looks like no other letter, and for small raised ones."""
    if letter in _LIKE_NO_LATIN_LETTER or unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    return unicodedata.name(letter, "").partition(" ")[0]
