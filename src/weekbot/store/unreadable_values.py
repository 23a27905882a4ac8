"""Values in subscriptions that this machine can't read, as conditions of queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true

from weekbot.db.tables import guilds, subscriptions
from weekbot.domain.unreadable_options import Option, Unreadable, log


class UnreadableValues:
    """The unreadable values that this process has met in subscriptions, by option.

    Batches leave out every row that has one, so that no number of them keeps others waiting. Values are remembered
    rather than rows: they are few, and a row whose value was corrected is read again.
    """

    def __init__(self) -> None:
        self._values: dict[Option, set[Any]] = defaultdict(set)

    def note(self, found: Iterable[Unreadable], about: dict[str, object]) -> int:
        """Remember and log the new ones; return their number."""
        new = [each for each in found if each.value not in self._values[each.option]]
        for each in new:
            self._values[each.option].add(each.value)
            sentence = each.sentence.format(value=each.shown)
            log.error("no posts to this channel, nor to others with the same value: %s", sentence, extra=about)
        return len(new)

    def absent(self) -> ColumnElement[bool]:
        """The condition that a subscription has none of them."""
        known = [column.not_in(self._values[option]) for option, column in _COLUMNS.items() if self._values[option]]
        return and_(true(), *known)


def own_or(servers: ColumnElement[str]) -> ColumnElement[str]:
    """A subscription's own zone, or else its server's."""
    return func.coalesce(func.nullif(subscriptions.c.timezone, ""), servers)


_SERVERS_ZONE = (
    select(guilds.c.timezone)
    .where(guilds.c.guild_id == subscriptions.c.guild_id)
    .correlate(subscriptions)
    .scalar_subquery()
)


ZONE = own_or(_SERVERS_ZONE)
"""A subscription's zone, its own or its server's."""


_COLUMNS: dict[Option, Any] = {"timezone": ZONE, "weekday": subscriptions.c.weekday, "at": subscriptions.c.at}
