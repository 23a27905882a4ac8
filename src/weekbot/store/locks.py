"""Row locks, which SQLite ignores because it has only one writer at a time."""

from typing import Final, TypedDict


class Lock(TypedDict, total=False):
    """Options of `with_for_update`. Only the row itself is locked, not the rows that refer to it."""

    skip_locked: bool
    key_share: bool


LOCKED: Final[Lock] = {"key_share": True}
"""For rows that are read to be changed."""
CLAIMING: Final[Lock] = {"skip_locked": True, "key_share": True}
"""For rows that one of several processes claims: skips those that another is claiming."""
