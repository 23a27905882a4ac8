"""A channel's messages, with fast access to any page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import UserDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message


class History(UserDict[int, "Message"]):
    """Messages sorted by ID, independent of the order in which they are added."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        super().__init__()

    def __setitem__(self, message_id: int, message: Message) -> None:
        if message_id not in self.data:
            insort(self._ids, message_id)
        self.data[message_id] = message

    def __delitem__(self, message_id: int) -> None:
        del self.data[message_id]
        del self._ids[bisect_left(self._ids, message_id)]

    def after(self, message_id: int) -> Iterator[Message]:
        """Yield the messages after an ID, the oldest first."""
        return self._visible(range(bisect_right(self._ids, message_id), len(self._ids)))

    def since(self, message_id: int) -> Iterator[Message]:
        """Yield the messages from an ID on, the oldest first."""
        return self.after(message_id - 1)

    def before(self, message_id: int) -> Iterator[Message]:
        """Yield the messages before an ID, the newest first."""
        return self._visible(range(bisect_left(self._ids, message_id) - 1, -1, -1))

    def _visible(self, indices: range) -> Iterator[Message]:
        messages = (self.data[self._ids[index]] for index in indices)
        return (message for message in messages if not message.ephemeral)
