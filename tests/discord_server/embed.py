"""Embeds as trees of JSON."""

from collections.abc import Iterator, Sequence

from .payload import Payload


def texts_of(embed: Payload) -> Iterator[str]:
    """Yield the texts of an embed in display order."""
    yield embed.get("title") or ""
    yield embed.get("description") or ""
    for field in embed.get("fields") or []:
        yield field["name"]
        yield field["value"]
    yield (embed.get("footer") or {}).get("text") or ""


def texts(embeds: Sequence[Payload]) -> list[str]:
    """Return the texts of embeds that aren't empty."""
    return [text for embed in embeds for text in texts_of(embed) if text]
