"""The tables. Instants are UTC; Discord's ids are snowflakes."""

from datetime import UTC, datetime

from sqlalchemy import Column, Dialect, ForeignKey, Index, MetaData, Table, UniqueConstraint, text
from sqlalchemy.types import BigInteger, Boolean, Date, DateTime, Integer, String, Text, TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant. SQLite stores no offset, so it is stored there as naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        utc = value and value.astimezone(UTC)
        return utc.replace(tzinfo=None) if utc and dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


guilds = Table(
    "guilds",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("timezone", String(64), nullable=False),
    Column("notices_channel_id", BigInteger),
    Column("left_at", UtcDateTime, index=True),
    Column("welcomed_at", UtcDateTime),
    Column("locale", String(10)),
    Column("missing_since", UtcDateTime),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guild_id", ForeignKey("guilds.guild_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("channel_id", BigInteger, nullable=False, unique=True),
    Column("parent_id", BigInteger),
    Column("ordinal", Integer, nullable=False, server_default="0"),
    Column("track", String(40), nullable=False),
    Column("weekday", Integer, nullable=False),
    Column("at", String(5), nullable=False),
    Column("timezone", String(64)),
    Column("ping_role_id", BigInteger),
    Column("thread", Boolean, nullable=False),
    Column("pin", Boolean, nullable=False),
    Column("publish", Boolean, nullable=False),
    Column("start_topic", String(40)),
    Column("chosen_topic", String(40)),
    Column("round", Integer, nullable=False),
    Column("next_slot", UtcDateTime, nullable=False),
    Column("next_week", Date, nullable=False),
    Column("last_slot", UtcDateTime),
    Column("last_week", Date),
    Column("last_zone", String(64)),
    Column("active", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("blocked", Text),
    Column("warning", Text),
    Column("check_at", UtcDateTime),
    Column("pinned_message_id", BigInteger),
    # The dispatcher's queries, each minute, must not slow down with the number of subscriptions.
    Index(None, "active", "paused", "next_slot", "ordinal"),
    Index(None, "active", "paused", "check_at"),
)

_TO_CORRECT = text("correct_at IS NOT NULL")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("subscription_id", ForeignKey("subscriptions.id", ondelete="CASCADE"), nullable=False),
    Column("slot", UtcDateTime, nullable=False),
    Column("topic", String(40), nullable=False),
    Column("round", Integer, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("message_id", BigInteger),
    Column("message_channel_id", BigInteger),
    Column("sent_at", UtcDateTime),
    Column("reason", Text),
    Column("version", String(32)),
    Column("correct_at", UtcDateTime),
    Column("attempt_at", UtcDateTime),
    Column("form", String(12)),
    Column("cursor", Text),
    Column("edit_attempts", Integer),
    UniqueConstraint("subscription_id", "slot"),
    Index(None, "state", "retry_at"),
    # Contains only deliveries to be corrected; usually there are none.
    # In PostgreSQL, too, by its migration; to name it here would load that dialect with every SQLite database.
    Index(None, "correct_at", sqlite_where=_TO_CORRECT),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("began_at", UtcDateTime, nullable=False, index=True),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(12)),
    Column("reason", Text),
)

steps = Table(
    "steps",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(12), primary_key=True),
    Column("done", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_at", UtcDateTime, nullable=False),
    Column("reason", Text),
    Index(None, "done", "retry_at"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("subscription_id", ForeignKey("subscriptions.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", UtcDateTime),
    Column("retry_at", UtcDateTime, nullable=False),
    UniqueConstraint("subscription_id", "kind"),
    Index(None, "done", "retry_at"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("subscription_id", ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("restored", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_at", UtcDateTime, nullable=False),
    Column("cursor", Text),
)

refusals = Table(
    "refusals",
    metadata,
    Column("topic", String(40), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("refused_at", UtcDateTime, nullable=False),
)

follows = Table(
    "follows",
    metadata,
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("guild_id", ForeignKey("guilds.guild_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("followed_at", UtcDateTime, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("member_id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(40), primary_key=True),
    Column("finished_at", UtcDateTime),
    Column("quiz_right", Boolean),
    Column("quiz_at", UtcDateTime),
    Column("finished_week", Date),
)

metadata_entries = Table(
    "facts", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False)
)

SESSION_STARTS = "session_starts"
"""The metadata entry with the failed starts of each process."""
