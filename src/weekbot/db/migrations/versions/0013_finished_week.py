"""The local week in which a member finished a topic."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("progress", sa.Column("finished_week", sa.Date))
