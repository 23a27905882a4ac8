"""Metrics for Prometheus; docs/metrics.md describes each."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

RESULTS = ("sent", "missed", "blocked", "unverified")
CONNECTIONS = ("resumed", "new")
SIGNS = ("answer", "commands", "post", "session")
UNKNOWN = "unknown"

MINUTE, HOUR = 60, 3600
LATENESS = (
    1,
    2,
    5,
    10,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
)
ANSWERING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)  # Discord waits three seconds


class Metrics:
    """One set for each bot in a process; `text` is what Prometheus reads.

    What happens is told to its methods; the gauges are set, or given functions, by who knows what they show.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.content_version: Callable[[], str] = str
        ProcessCollector(registry=self._registry)
        self._deliveries()
        self._discord()
        self._members()
        self._content()
        self._process()

    def text(self) -> bytes:
        self._content_info.clear()
        self._content_info.labels(self.content_version()).set(1)
        return generate_latest(self._registry)

    # Deliveries

    def posted(self, lateness: timedelta | None) -> None:
        """A post stands; so much later than its slot, where it has one."""
        self._results.labels("sent").inc()
        if lateness is not None:
            self._lateness.observe(max(lateness.total_seconds(), 0))

    def ended(self, result: str) -> None:
        """A delivery ended without a post that is known."""
        self._results.labels(result).inc()

    def retried(self) -> None:
        self._retries.inc()

    # Discord

    def requested(self, status: int | None, paced: bool) -> None:
        """Discord answered a request, or not at all; answers to members are not paced."""
        self._requests.labels(str(status or "none"), "paced" if paced else "answer").inc()

    def reconnected(self, *, resumed: bool) -> None:
        """A shard is connected again."""
        self._reconnects.labels("resumed" if resumed else "new").inc()

    def dropped(self, kind: str) -> None:
        """An event of the gateway could not be read."""
        self._dropped.labels(kind).inc()

    def token_used_elsewhere(self, sign: str) -> None:
        """Count a sign that another program uses the bot's token."""
        self._token_used_elsewhere.labels(sign).inc()

    # Members

    def looked_up(self, topic: str | None) -> None:
        """A member looked for a topic, and found this one or none."""
        self._lookups.labels(topic or UNKNOWN, "hit" if topic else "miss").inc()

    def autocompleted(self, seconds: float) -> None:
        self._autocompletes.observe(seconds)

    # States

    def waiting(self, due: float, pending: float, longest_seconds: float) -> None:
        """Subscriptions and deliveries, and since when the first of them; NaN where that is not known."""
        self._due.set(due)
        self._pending.set(pending)
        self._longest_wait.set(longest_seconds)

    def supplied(self, short: int, subscriptions: int) -> None:
        """Set the number of subscriptions, and how many of them are short of topics."""
        self._short_of_topics.set(short)
        self._subscriptions.set(subscriptions)

    def built(self, info: Mapping[str, str]) -> None:
        """Set the version and the commit that run."""
        self._build_info.labels(**info).set(1)

    def conditions(self, met: Mapping[str, bool]) -> None:
        """Of being ready, by their names."""
        for name, is_met in met.items():
            self._conditions.labels(name).set(is_met)

    def _deliveries(self) -> None:
        self._results = self._counter("deliveries", "Deliveries that ended, by what became of them", "result")
        for result in RESULTS:
            self._results.labels(result)
        self._retries = self._counter("delivery_retries", "Attempts at a delivery after which another one comes")
        self._lateness = self._histogram("delivery_lateness_seconds", "From a delivery's slot to its post", LATENESS)
        self._due = self._gauge("deliveries_due", "Subscriptions whose slot has come and is not taken up yet")
        self._pending = self._gauge("deliveries_pending", "Deliveries that were taken up and have not ended yet")
        self._longest_wait = self._gauge("deliveries_longest_wait_seconds", "Since the earliest slot that waits")

    def _discord(self) -> None:
        self._requests = self._counter("discord_requests", "Requests to Discord, by how it answered", "status", "kind")
        self.requests_allowed = self._gauge("discord_requests_allowed", "Paced requests that may be made each second")
        self.invalid = self._gauge("discord_invalid_requests", "Answers of 401, 403 and 429 in the last ten minutes")
        self.invalid_allowed = self._gauge(
            "discord_invalid_requests_allowed", "From so many on only members are answered"
        )
        self._reconnects = self._counter("gateway_reconnects", "Times that a shard was connected again", "session")
        self._dropped = self._counter("gateway_events_dropped", "Events that could not be read, by their kind", "event")
        self._dropped.labels("INTERACTION_CREATE")  # so that it is there before anything is dropped
        self._token_used_elsewhere = self._counter(
            "token_used_elsewhere", "Signs that another program uses the bot's token, by their kind", "sign"
        )
        for sign in SIGNS:
            self._token_used_elsewhere.labels(sign)
        self.commands_registered = self._gauge(
            "commands_registered", "1 once Discord lists the commands of this version, 0 before"
        )
        self.sessions_remaining = self._gauge(
            "gateway_sessions_remaining", "Sessions of shards that may begin before Discord's day ends"
        )
        self.sessions_allowed = self._gauge("gateway_sessions_allowed", "Sessions that Discord allows in a day")
        self.failed_starts = self._gauge(
            "failed_starts", "Starts in a row, before this one, that began a session and did not last ten minutes"
        )
        self.shards = self._gauge("shards", "Shards that this process holds")
        for session in CONNECTIONS:
            self._reconnects.labels(session)

    def _members(self) -> None:
        self._lookups = self._counter("lookups", "Topics that members looked for by name", "framework", "result")
        self._autocompletes = self._histogram(
            "autocomplete_duration_seconds", "From hearing what a member types to the choices", ANSWERING
        )

    def _content(self) -> None:
        self._content_info = self._gauge("content_info", "1, with the version of the content that is served", "version")
        self.topics = self._gauge("content_topics", "Topics that are served")
        self.problems = self._gauge("content_problems", "What keeps the content folder from being served as it is now")
        self.set_aside = self._gauge("content_topics_set_aside", "Topics that Discord refused in several channels")
        self._subscriptions = self._gauge("subscriptions", "Subscriptions that are active and not paused")
        self._short_of_topics = self._gauge(
            "subscriptions_short_of_topics",
            "Subscriptions with fewer than four topics left that they have not had in their round",
        )

    def _process(self) -> None:
        self._build_info = self._gauge("build_info", "1, with the version and the commit that run", "version", "commit")
        self.is_leader = self._gauge("sends", "1 where this process sends, 0 where it stands by")
        self.term = self._gauge("term", "The last time, counted, that the sending came to this process")
        self._conditions = self._gauge("ready_condition", "1 where this condition of being ready is met", "condition")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"weekbot_{name}", what, labels, registry=self._registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"weekbot_{name}", what, labels, registry=self._registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"weekbot_{name}", what, buckets=buckets, registry=self._registry)
