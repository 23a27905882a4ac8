"""What weekbot remembers: subscriptions, the ledger of deliveries, servers. Only this package knows SQL."""

import weekbot.db as _  # noqa: F401 - before SQLAlchemy
