"""A channel's messages, of which any page is found at once, however many there are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import UserDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message


class History(UserDict[int, "Message"]):
    """Messages by their ids, which tell their order, whatever the order in which they came."""

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
        """Yield the messages after one that need not be there, the oldest first."""
        return self._visible(range(bisect_right(self._ids, message_id), len(self._ids)))

    def since(self, message_id: int) -> Iterator[Message]:
        """Yield one, if it is there, and those after it."""
        return self.after(message_id - 1)

    def before(self, message_id: int) -> Iterator[Message]:
        """Yield the messages before one that need not be there, the newest first."""
        return self._visible(range(bisect_left(self._ids, message_id) - 1, -1, -1))

    def _visible(self, indices: range) -> Iterator[Message]:
        messages = (self.data[self._ids[index]] for index in indices)
        return (message for message in messages if not message.ephemeral)
