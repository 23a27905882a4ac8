"""Several processes on one database: leader election, fencing, the process lock."""

import weekbot.db as _  # noqa: F401 - before SQLAlchemy
