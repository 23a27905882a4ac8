"""Since when a server has been missing from what Discord lists, before it counts as left."""

import sqlalchemy as sa
from alembic import op

from weekbot.db.tables import UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("guilds", sa.Column("missing_since", UtcDateTime))
