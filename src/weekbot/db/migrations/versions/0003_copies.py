"""The version of the topic that a post shows, and the time of its correction."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("version", sa.String(32)))
    op.add_column("deliveries", sa.Column("correct_at", UtcDateTime))
    wanted = sa.text("correct_at IS NOT NULL")
    op.create_index(
        "ix_deliveries_correct_at", "deliveries", ["correct_at"], sqlite_where=wanted, postgresql_where=wanted
    )
