"""Values in subscriptions that this machine can't read, and conditions that exclude them from queries."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true

from weekbot.db.tables import guilds, subscriptions
from weekbot.domain.unreadable_options import Option, Unreadable

log = logging.getLogger(__name__)


class UnreadableValues:
    """The unreadable values that this process has found, by option.

    Queries exclude rows with one, so that such rows don't fill batches. Values are remembered rather than rows: they
    are few, and a row whose value was corrected is read again.
    """

    def __init__(self) -> None:
        self._values: dict[Option, set[Any]] = defaultdict(set)

    def remember(self, found: Iterable[Unreadable], log_fields: dict[str, object]) -> int:
        """Remember and log new ones, and return their number."""
        new = [each for each in found if each.value not in self._values[each.option]]
        for each in new:
            self._values[each.option].add(each.value)
            sentence = each.sentence.format(value=each.shown)
            log.error("no posts to this channel, nor to others with the same value: %s", sentence, extra=log_fields)
        return len(new)

    def exclusion(self) -> ColumnElement[bool]:
        """Return the condition that a subscription has none of them."""
        known = [column.not_in(self._values[option]) for option, column in _COLUMNS.items() if self._values[option]]
        return and_(true(), *known)


def effective_zone(servers: ColumnElement[str]) -> ColumnElement[str]:
    """Return the column of the subscription's own zone, or else the server's."""
    return func.coalesce(func.nullif(subscriptions.c.timezone, ""), servers)


_SERVERS_ZONE = select(guilds.c.timezone).where(guilds.c.guild_id == subscriptions.c.guild_id).correlate(subscriptions)
ZONE = effective_zone(_SERVERS_ZONE.scalar_subquery())
_COLUMNS: dict[Option, Any] = {"timezone": ZONE, "weekday": subscriptions.c.weekday, "at": subscriptions.c.at}
