"""Attachments of messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from .payload import Payload


@dataclass(frozen=True)
class Upload:
    """A file in a request."""

    filename: str
    content: bytes


Uploads: TypeAlias = Mapping[str, Upload]
"""The uploads of one request, by their index in its JSON."""

NO_UPLOADS: Uploads = MappingProxyType({})


@dataclass(frozen=True)
class Attachment:
    """A file of a message."""

    id: int
    filename: str
    content: bytes

    def payload(self) -> Payload:
        """Return the attachment as Discord sends it."""
        url = f"https://cdn.discordapp.com/attachments/{self.id}/{self.filename}"
        return {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.content),
            "url": url,
            "proxy_url": url,
        }
