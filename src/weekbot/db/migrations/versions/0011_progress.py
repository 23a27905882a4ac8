"""The progress of searches and corrections, the order of a server's channels, and refused topics."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0011"
down_revision = "0010"

OLD_INDEX = "ix_subscriptions_active_paused_next_slot"
NUMBERED = """
    UPDATE subscriptions SET ordinal = (
        SELECT count(*) FROM subscriptions AS earlier
        WHERE earlier.guild_id = subscriptions.guild_id AND earlier.id < subscriptions.id
    )
"""


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("cursor", sa.Text))
    op.add_column("deliveries", sa.Column("edit_attempts", sa.Integer))
    op.add_column("reconciliations", sa.Column("cursor", sa.Text))
    op.add_column("subscriptions", sa.Column("ordinal", sa.Integer, nullable=False, server_default="0"))
    op.execute(NUMBERED)
    op.create_index(f"{OLD_INDEX}_ordinal", "subscriptions", ["active", "paused", "next_slot", "ordinal"])
    op.drop_index(OLD_INDEX, "subscriptions")
    op.create_table(
        "refusals",
        sa.Column("topic", sa.String(40), primary_key=True),
        sa.Column("version", sa.String(32), primary_key=True),
        sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("refused_at", UtcDateTime, nullable=False),
    )
