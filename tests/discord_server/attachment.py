"""Files that go with messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from .payload import Payload


@dataclass(frozen=True)
class Upload:
    """A file as a request brings it."""

    filename: str
    content: bytes


Uploads: TypeAlias = Mapping[str, Upload]
"""The uploads of one request, by the index that its JSON calls them by."""

NO_UPLOADS: Uploads = MappingProxyType({})


@dataclass(frozen=True)
class Attachment:
    """A file that a message has."""

    id: int
    filename: str
    content: bytes

    def payload(self) -> Payload:
        """Return it as Discord sends it."""
        url = f"https://cdn.discordapp.com/attachments/{self.id}/{self.filename}"
        return {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.content),
            "url": url,
            "proxy_url": url,
        }
