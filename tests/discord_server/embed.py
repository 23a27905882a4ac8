"""Embeds as trees of JSON."""

from collections.abc import Iterator, Sequence

from .payload import Payload


def said(embed: Payload) -> Iterator[str]:
    """Yield what an embed says, in the order in which it is drawn."""
    yield embed.get("title") or ""
    yield embed.get("description") or ""
    for field in embed.get("fields") or []:
        yield field["name"]
        yield field["value"]
    yield (embed.get("footer") or {}).get("text") or ""


def texts(embeds: Sequence[Payload]) -> list[str]:
    """Return what embeds say, without what is left empty."""
    return [text for embed in embeds for text in said(embed) if text]
