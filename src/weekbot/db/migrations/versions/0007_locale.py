"""The language of a server."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("guilds", sa.Column("locale", sa.String(10)))
