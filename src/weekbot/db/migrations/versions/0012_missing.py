"""The time since when a server has been missing from Discord's list, before it counts as left."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("guilds", sa.Column("missing_since", UtcDateTime))
