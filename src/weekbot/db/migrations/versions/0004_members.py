"""Members' progress: topics finished, and quizzes answered."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("member_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.String(40), primary_key=True),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("quiz_right", sa.Boolean),
        sa.Column("quiz_at", UtcDateTime),
    )
