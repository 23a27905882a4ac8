"""The first schema: servers, subscriptions, the ledger of deliveries with its steps, and metadata."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "guilds",
        sa.Column("guild_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("timezone", sa.String(64), nullable=False),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "guild_id", sa.BigInteger, sa.ForeignKey("guilds.guild_id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("channel_id", sa.BigInteger, nullable=False, unique=True),
        sa.Column("track", sa.String(40), nullable=False),
        sa.Column("weekday", sa.Integer, nullable=False),
        sa.Column("at", sa.String(5), nullable=False),
        sa.Column("timezone", sa.String(64)),
        sa.Column("ping_role_id", sa.BigInteger),
        sa.Column("thread", sa.Boolean, nullable=False),
        sa.Column("pin", sa.Boolean, nullable=False),
        sa.Column("publish", sa.Boolean, nullable=False),
        sa.Column("start_topic", sa.String(40)),
        sa.Column("chosen_topic", sa.String(40)),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("next_slot", UtcDateTime, nullable=False),
        sa.Column("next_week", sa.Date, nullable=False),
        sa.Column("last_slot", UtcDateTime),
        sa.Column("last_week", sa.Date),
        sa.Column("last_zone", sa.String(64)),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("blocked", sa.Text),
        sa.Column("pinned_message_id", sa.BigInteger),
    )
    op.create_index("ix_subscriptions_active_paused_next_slot", "subscriptions", ["active", "paused", "next_slot"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("subscription_id", sa.Integer, sa.ForeignKey("subscriptions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("slot", UtcDateTime, nullable=False),
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("scheduled", sa.Boolean, nullable=False),
        sa.Column("chosen", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_attempt_at", UtcDateTime),
        sa.Column("retry_at", UtcDateTime),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("message_channel_id", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint("subscription_id", "slot"),
    )
    op.create_index("ix_deliveries_state_retry_at", "deliveries", ["state", "retry_at"])
    op.create_table(
        "steps",
        sa.Column("delivery_id", sa.String(24), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(12), primary_key=True),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_index("ix_steps_done_retry_at", "steps", ["done", "retry_at"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
