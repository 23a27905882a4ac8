"""Escapes that make untrusted text safe to display."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekbot.runtime.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x7f\x85\x00", r"\x7f\x85\x00"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("Voilà\u00a0! Größe, 日本語 ❤\ufe0f", "Voilà\u00a0! Größe, 日本語 ❤\ufe0f"),
        (r"C:\new", r"C:\new"),
        ("", ""),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_no_character_controls_a_terminal(text: str) -> None:
    kinds = {unicodedata.category(character) for character in printable(text)}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(printable(text)) == printable(text)


def test_printable_lines_keeps_line_breaks() -> None:
    assert printable_lines("one\n\ttwo\x1b") == "one\n\\ttwo\\x1b"
