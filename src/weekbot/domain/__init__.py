"""Pure rules and types: subscriptions, deliveries, the schedule, the next topic. No SQLAlchemy, no discord.py."""
