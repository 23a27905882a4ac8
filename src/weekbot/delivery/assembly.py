"""Assembles the parts that deliver, for the running bot and for tests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.dispatcher import Dispatcher, JobQueue
from weekbot.delivery.due_posts import PostHandler
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
    """Only the leader can write to the `fenced` database. Sent posts wait up to `linger` to be recorded together."""

    database: Database
    fenced: Database
    subscriptions: Subscriptions
    linger: timedelta = timedelta()


@dataclass(frozen=True)
class DiscordPorts:
    """The connections to Discord. `paused` returns for how long no request may be sent."""

    sender: Sender
    editor: Editor | None
    notices: NoticeSender
    budget: Callable[[], RequestBudget]
    has_left: Callable[[int], Awaitable[bool]]
    paused: Callable[[], timedelta] = timedelta
    shards: Callable[[], Shards] = lambda: ALL


class DeliveryParts:
    def __init__(
        self,
        stores: Stores,
        discord: DiscordPorts,
        *,
        library: Callable[[], Library],
        clock: Clock,
        catch_up: timedelta,
        metrics: DeliveryMetrics,
        token_users: TokenUsers,
        is_leader: Callable[[], bool],
    ) -> None:
        fenced, refused_topics = stores.fenced, RefusedTopics(Refusals(stores.fenced))
        self.reconciliations, self.steps = Reconciliations(fenced), Steps(fenced)
        self.context = context = DeliveryContext(
            library=lambda: refused_topics.without_refused(library()),
            sender=discord.sender,
            clock=clock,
            catch_up=catch_up,
            verification=Verification(self.reconciliations, discord.sender, clock),
            outage=Outage(clock),
            refused_topics=refused_topics,
            token_users=token_users,
            metrics=metrics,
        )
        deliveries = Deliveries(fenced, stores.linger)
        self.poster = Poster(context, deliveries, discord.has_left)
        self.notices, step_handler = Notices(stores.database), StepHandler(context, self.steps)

        queues: list[JobQueue] = [
            Worker(PostHandler(context, stores.subscriptions, deliveries, self.poster), clock, is_leader),
            Worker(ReconciliationHandler(context, self.reconciliations), clock, is_leader),
            Worker(step_handler, clock, is_leader),
            Worker(NoticeHandler(self.notices, discord.notices, clock, discord.shards), clock),
        ]
        if discord.editor:
            handler = RepublicationHandler(context.library, Republication(fenced), discord.editor, clock)
            queues.append(Worker(handler, clock, is_leader))
        self.dispatcher = Dispatcher(queues, discord.budget, clock, discord.paused)
        self.deliveries = deliveries if fenced is stores.database else Deliveries(stores.database)
        self.manual = ManualDeliveries(context, self.deliveries, self.poster, step_handler, self.dispatcher, is_leader)
