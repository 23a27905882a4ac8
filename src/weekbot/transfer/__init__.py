"""Backup, export and import, and the copy to PostgreSQL."""

import weekbot.db as _  # noqa: F401 - before SQLAlchemy
