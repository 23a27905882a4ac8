"""What weekbot remembers: subscriptions, the ledger of deliveries, servers. Only this package knows SQL."""
