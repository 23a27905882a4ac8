"""Metrics for Prometheus; docs/metrics.md describes each."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

RESULTS = ("sent", "missed", "blocked", "unverified")
CONNECTIONS = ("resumed", "new")
EVENTS = ("INTERACTION_CREATE",)
SIGNS = ("answer", "commands", "post", "session")

MINUTE, HOUR = 60, 3600
LATENESS = (1, 2, 5, 10, 30, *(n * MINUTE for n in (1, 2, 5, 15)), *(n * HOUR for n in (1, 3, 6, 12, 24)))
ANSWERING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)  # Discord waits three seconds


class Metrics:
    """The metrics of one bot in a process. Other code sets the public gauges, or gives them functions."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.content_version: Callable[[], str] = str
        ProcessCollector(registry=registry)
        counter = partial(Counter, namespace="weekbot", registry=registry)
        gauge = partial(Gauge, namespace="weekbot", registry=registry)
        histogram = partial(Histogram, namespace="weekbot", registry=registry)

        self._results = counter("deliveries", "Finished deliveries by result", ["result"])
        self._retries = counter("delivery_retries", "Attempts at a delivery that will be retried")
        self._lateness = histogram("delivery_lateness_seconds", "Time from a slot to its post", buckets=LATENESS)
        self._due = gauge("deliveries_due", "Subscriptions with a due slot that was not claimed yet")
        self._pending = gauge("deliveries_pending", "Claimed deliveries that have not finished yet")
        self._longest_wait = gauge("deliveries_longest_wait_seconds", "Time since the earliest waiting slot")
        self._requests = counter("discord_requests", "Requests to Discord by status and kind", ["status", "kind"])
        self.requests_allowed = gauge("discord_requests_allowed", "Maximum number of paced requests a second")
        self.invalid = gauge("discord_invalid_requests", "Answers of 401, 403 and 429 in the last ten minutes")
        self.invalid_allowed = gauge("discord_invalid_requests_allowed", "Limit after which only members are answered")
        self._reconnects = counter("gateway_reconnects", "Reconnections of shards", ["session"])
        self._dropped = counter("gateway_events_dropped", "Gateway events that could not be parsed", ["event"])
        signs = "Signs that another program uses the bot's token"
        self._token_used_elsewhere = counter("token_used_elsewhere", signs, ["sign"])
        self.commands_registered = gauge("commands_registered", "1 if Discord lists this version's commands, else 0")
        self.sessions_remaining = gauge("gateway_sessions_remaining", "Sessions left until the daily reset")
        self.sessions_allowed = gauge("gateway_sessions_allowed", "Sessions that Discord allows in a day")
        self.failed_starts = gauge("failed_starts", "Consecutive starts with a session of less than ten minutes")
        self.shards = gauge("shards", "Shards of this process")
        self._lookups = counter("lookups", "Look-ups of topics by name", ["framework", "result"])
        choices = "Time from receiving a member's input to sending the choices"
        self._autocompletes = histogram("autocomplete_duration_seconds", choices, buckets=ANSWERING)
        self._content_info = gauge("content_info", "1, labelled with the version of the content", ["version"])
        self.topics = gauge("content_topics", "Topics of the loaded content")
        self.problems = gauge("content_problems", "Problems that keep the current content from being loaded")
        self.set_aside = gauge("content_topics_set_aside", "Topics that Discord refused in several channels")
        self._subscriptions = gauge("subscriptions", "Subscriptions that are active and not paused")
        short = "Subscriptions with fewer than four unused topics left in their round"
        self._short_of_topics = gauge("subscriptions_short_of_topics", short)
        self._build_info = gauge("build_info", "1, labelled with the version and the commit", ["version", "commit"])
        self.is_leader = gauge("is_leader", "1 if this process is the leader, 0 if it stands by")
        self.term = gauge("term", "Latest term in which this process became the leader")
        self._conditions = gauge("ready_condition", "1 if the condition of readiness is met", ["condition"])
        for labelled, values in (
            (self._results, RESULTS),
            (self._reconnects, CONNECTIONS),
            (self._dropped, EVENTS),
            (self._token_used_elsewhere, SIGNS),
        ):
            for value in values:
                labelled.labels(value)  # starts the series at 0

    def text(self) -> bytes:
        """Return the page that Prometheus reads."""
        self._content_info.clear()
        self._content_info.labels(self.content_version()).set(1)
        return generate_latest(self._registry)

    def posted(self, lateness: timedelta | None) -> None:
        """Count a post; a manual one has no slot, and therefore no lateness."""
        self._results.labels("sent").inc()
        if lateness is not None:
            self._lateness.observe(max(lateness.total_seconds(), 0))

    def ended(self, result: str) -> None:
        """Count a delivery that ended without a known post."""
        self._results.labels(result).inc()

    def retried(self) -> None:
        self._retries.inc()

    def requested(self, status: int | None, paced: bool) -> None:
        """Count a request to Discord; `status` is None without an answer, and answers to members aren't `paced`."""
        self._requests.labels(str(status or "none"), "paced" if paced else "answer").inc()

    def reconnected(self, *, resumed: bool) -> None:
        self._reconnects.labels("resumed" if resumed else "new").inc()

    def dropped(self, kind: str) -> None:
        self._dropped.labels(kind).inc()

    def token_used_elsewhere(self, sign: str) -> None:
        self._token_used_elsewhere.labels(sign).inc()

    def looked_up(self, topic: str | None) -> None:
        """Count a member's look-up of this topic, or of one that doesn't exist."""
        self._lookups.labels(topic or "unknown", "hit" if topic else "miss").inc()

    def autocompleted(self, seconds: float) -> None:
        self._autocompletes.observe(seconds)

    def waiting(self, due: float, pending: float, longest_seconds: float) -> None:
        """Set the numbers of due subscriptions and pending deliveries, and the longest wait; NaN if unknown."""
        self._due.set(due)
        self._pending.set(pending)
        self._longest_wait.set(longest_seconds)

    def supplied(self, short: int, subscriptions: int) -> None:
        """Set the number of subscriptions, and how many of them are short of topics."""
        self._short_of_topics.set(short)
        self._subscriptions.set(subscriptions)

    def built(self, info: Mapping[str, str]) -> None:
        self._build_info.labels(**info).set(1)

    def conditions(self, met: Mapping[str, bool]) -> None:
        for name, is_met in met.items():
            self._conditions.labels(name).set(is_met)
