"""The form of a post, which an edit can't change."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("form", sa.String(12)))
