"""The attempts of a delivery, with their times and outcomes."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("attempt_at", UtcDateTime))
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.String(24), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("outcome", sa.String(12)),
        sa.Column("reason", sa.Text),
    )
    op.create_index("ix_attempts_began_at", "attempts", ["began_at"])
