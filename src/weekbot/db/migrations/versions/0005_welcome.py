"""The time at which a server was welcomed."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("guilds", sa.Column("welcomed_at", UtcDateTime))
