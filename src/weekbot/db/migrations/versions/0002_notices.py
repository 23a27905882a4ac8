"""Notices to moderators, servers that the bot left, and the times of checks and of posts."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("guilds", sa.Column("notices_channel_id", sa.BigInteger))
    op.add_column("guilds", sa.Column("left_at", UtcDateTime))
    op.create_index("ix_guilds_left_at", "guilds", ["left_at"])
    op.add_column("subscriptions", sa.Column("parent_id", sa.BigInteger))
    op.add_column("subscriptions", sa.Column("warning", sa.Text))
    op.add_column("subscriptions", sa.Column("check_at", UtcDateTime))
    op.execute("UPDATE subscriptions SET check_at = next_slot")
    op.create_index("ix_subscriptions_active_paused_check_at", "subscriptions", ["active", "paused", "check_at"])
    op.add_column("deliveries", sa.Column("sent_at", UtcDateTime))
    op.create_table(
        "notices",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("subscription_id", sa.Integer, sa.ForeignKey("subscriptions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_attempt_at", UtcDateTime),
        sa.Column("retry_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("subscription_id", "kind"),
    )
    op.create_index("ix_notices_done_retry_at", "notices", ["done", "retry_at"])
