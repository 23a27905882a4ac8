"""Metrics for Prometheus."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest


class Metrics:
    """One set for each bot in a process; `text` is what Prometheus reads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.short_of_topics = Gauge(
            "weekbot_subscriptions_short_of_topics",
            "Subscriptions with fewer than four topics left that they have not had in their round",
            registry=self._registry,
        )

    def text(self) -> bytes:
        return generate_latest(self._registry)
