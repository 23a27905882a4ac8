"""Assembles the delivery half of weekbot: for the running bot, for one republication, and for tests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.delivery.context import Context, Safeguards
from weekbot.delivery.dispatcher import Dispatcher, JobQueue
from weekbot.delivery.due_posts import PostHandler
from weekbot.delivery.leader_gate import GatedQueue
from weekbot.delivery.manual import ManualDeliveries
from weekbot.delivery.notices import NoticeHandler
from weekbot.delivery.outage import Outage
from weekbot.delivery.ports import DeliveryMetrics, Editor, NoticeSender, RequestBudget, Sender
from weekbot.delivery.posts import Poster
from weekbot.delivery.reconciliations import ReconciliationHandler
from weekbot.delivery.refused_topics import RefusedTopics
from weekbot.delivery.republication import RepublicationHandler
from weekbot.delivery.steps import StepHandler
from weekbot.delivery.token_users import TokenUsers
from weekbot.delivery.verification import Verification
from weekbot.delivery.worker import Worker
from weekbot.domain.shards import ALL, Shards
from weekbot.runtime.clock import Clock
from weekbot.store.deliveries import Deliveries
from weekbot.store.notices import Notices
from weekbot.store.reconciliations import Reconciliations
from weekbot.store.refusals import Refusals
from weekbot.store.republication import Republication
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions


@dataclass(frozen=True)
class Stores:
    """Only the leader writes by the `fenced` database. Recorded posts may wait up to `linger` for each other."""

    database: Database
    fenced: Database
    subscriptions: Subscriptions
    linger: timedelta = timedelta()


@dataclass(frozen=True)
class DiscordPorts:
    """How the delivery half reaches Discord. `paused` is how long no request may leave."""

    sender: Sender
    editor: Editor | None
    notices: NoticeSender
    budget: Callable[[], RequestBudget]
    has_left: Callable[[int], Awaitable[bool]]
    paused: Callable[[], timedelta] = timedelta
    shards: Callable[[], Shards] = lambda: ALL


@dataclass(frozen=True)
class DeliveryHalf:
    """The assembled parts. `library` returns the topics that Discord doesn't refuse."""

    library: Callable[[], Library]
    deliveries: Deliveries
    notices: Notices
    steps: Steps
    reconciliations: Reconciliations
    safeguards: Safeguards
    poster: Poster
    dispatcher: Dispatcher
    manual: ManualDeliveries


def assemble(
    stores: Stores,
    discord: DiscordPorts,
    *,
    library: Callable[[], Library],
    clock: Clock,
    catch_up: timedelta,
    metrics: DeliveryMetrics,
    token_users: TokenUsers,
    is_leader: Callable[[], bool],
) -> DeliveryHalf:
    fenced, refused_topics = stores.fenced, RefusedTopics(Refusals(stores.fenced))
    context = Context(lambda: refused_topics.view(library()), discord.sender, clock, catch_up)
    reconciliations, steps = Reconciliations(fenced), Steps(fenced)
    verification = Verification(reconciliations, discord.sender, clock)
    safeguards = Safeguards(verification, Outage(clock), refused_topics, token_users, metrics)
    deliveries = Deliveries(fenced, stores.linger)
    poster = Poster(context, deliveries, safeguards, discord.has_left)
    notices, step_handler = Notices(stores.database), StepHandler(context, steps)

    def gated(queue: JobQueue) -> JobQueue:
        return GatedQueue(queue, is_leader)

    queues = [
        gated(Worker(PostHandler(context, stores.subscriptions, deliveries, poster, safeguards), clock)),
        gated(Worker(ReconciliationHandler(context, reconciliations, safeguards), clock)),
        gated(Worker(step_handler, clock)),
        Worker(NoticeHandler(notices, discord.notices, clock, discord.shards), clock),
    ]
    if discord.editor:
        queues.append(gated(republication(fenced, discord.editor, context.library, clock)))
    dispatcher = Dispatcher(queues, discord.budget, clock, discord.paused)
    by_hand = deliveries if fenced is stores.database else Deliveries(stores.database)
    manual = ManualDeliveries(context, by_hand, poster, step_handler, dispatcher, verification, is_leader)
    return DeliveryHalf(
        library=context.library,
        deliveries=by_hand,
        notices=notices,
        steps=steps,
        reconciliations=reconciliations,
        safeguards=safeguards,
        poster=poster,
        dispatcher=dispatcher,
        manual=manual,
    )


def republication(database: Database, editor: Editor, library: Callable[[], Library], clock: Clock) -> JobQueue:
    """The queue of posted copies to edit."""
    return Worker(RepublicationHandler(library, Republication(database), editor, clock), clock)
