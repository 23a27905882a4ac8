"""Texts inside Discord's limits."""

from collections.abc import Sequence

from weekbot.i18n.language import Language

MOST_QUOTED = 60


def cut(text: str, most: int) -> str:
    """At most so many characters, cut between words; inside one only where it is longer than that itself."""
    if len(text) <= most:
        return text
    head = text[:most]
    whole_words = head.rsplit(maxsplit=1)[0] if " " in head.strip() else head[: most - 1]
    return f"{whole_words[: most - 1].rstrip()}…"


def quoted(text: str) -> str:
    """What a member typed, short and as code: nothing in it is a mention, a link or Markdown."""
    plain = " ".join(text.replace("`", "'").split()) or " "
    return f"`{cut(plain, MOST_QUOTED)}`"


def numbered(lines: Sequence[str], first: int = 1) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, first))


def some_of(tr: Language, items: Sequence[str], most: int) -> str:
    """The first items, and how many more there are."""
    more = len(items) - most
    if more <= 0:
        return tr.join(items)
    return tr("{items} and {count} more", items=", ".join(items[:most]), count=more)
