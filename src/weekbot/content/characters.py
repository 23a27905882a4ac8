"""Finds characters that mislead: invisible ones outside emoji, and letters that pass for those of another script."""

import re
import unicodedata
from collections.abc import Iterator

# Controls, Unicode's Default_Ignorable_Code_Point, separators of lines, noncharacters, and a blank Braille cell.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINER, _KEYCAP = "\u200d", "\u20e3"
_SELECTORS = ("\ufe0e", "\ufe0f")  # text presentation, emoji presentation
_KEYS = tuple("#*0123456789")
_OTHER_EMOJI_BASES = "‼⁉ℹ〰"  # to Unicode, punctuation and a letter
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = "LATIN"
_MAY_ACCOMPANY_LATIN = frozenset({_LATIN, "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})  # according to UTS 39
_CONFUSABLE_WITH_LATIN = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GEORGIAN", "LISU"})
_NOT_CONFUSABLE = frozenset("ΓΔΘΛΞΠΣΦΨΩβδεζηθλμξπστφψωµΩªº")  # in formulas, units and ordinals: `Δt`, `kΩ`, `nº`


def find_invisible(text: str) -> Iterator[re.Match[str]]:
    """Find each invisible character, except those that belong to an emoji."""
    if text.isascii() and text.replace("\n", "").isprintable():  # nearly all files, and several times faster
        return iter(())
    return (match for match in _INVISIBLE.finditer(text) if not _in_emoji(match))


def remove_invisible(text: str) -> str:
    return _INVISIBLE.sub(lambda match: match[0] if _in_emoji(match) else "", text)


def character_name(character: str) -> str:
    """Return the code point and name, such as `U+200B ZERO WIDTH SPACE`."""
    kind = "(a control character)" if unicodedata.category(character) == "Cc" else "(without a name)"
    return f"U+{ord(character):04X} {unicodedata.name(character, kind)}"


def _in_emoji(match: re.Match[str]) -> bool:
    """Return whether it is a selector after its emoji, or a joiner between two."""
    before = match.string[max(match.start() - 2, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    if match[0] in _SELECTORS:
        return _is_symbol(before[-1:]) or (before.endswith(_KEYS) and after == _KEYCAP)
    base = before[:-1] if before.endswith(_SELECTORS) else before
    return match[0] == _JOINER and _is_symbol(base[-1:]) and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    """Return whether an emoji can consist of it; Unicode has no simpler property for that."""
    if character.isascii():  # or empty
        return False
    return unicodedata.category(character) in ("So", "Sm", "Sk") or character in _OTHER_EMOJI_BASES


def mixed_words(text: str, *, prose: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each word of Latin and other letters, with a message.

    In `prose`, unlike in what readers copy or type, only scripts that can be confused with Latin are reported.
    """
    if text.isascii():
        return
    for word in dict.fromkeys(_WORD.findall(text)):
        scripts = {} if word.isascii() else {letter: script for letter in word if (script := _script(letter))}
        found = set(scripts.values())
        foreign = found & _CONFUSABLE_WITH_LATIN if prose else found - _MAY_ACCOMPANY_LATIN
        suspicious = next((letter for letter, script in scripts.items() if script in foreign), None)
        if suspicious and _LATIN in found:
            yield word, f"{word} has {character_name(suspicious)} among Latin letters; retype the word"


def _script(letter: str) -> str | None:
    """Return the first word of the letter's name; None for unconfusable letters and for small raised ones."""
    if letter in _NOT_CONFUSABLE or unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    return unicodedata.name(letter, "").partition(" ")[0]
