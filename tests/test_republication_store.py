"""The republication queue in the database: the versions and forms of a topic's posts."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, select

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT
from postgres import empty_database_url
from weekbot.db.database import Database
from weekbot.db.revision import upgrade
from weekbot.db.tables import deliveries
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, Plan, PostForm
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.republication import PostCounts, Republication
from weekbot.store.subscriptions import Subscriptions

LEASE = timedelta(seconds=15)


async def record_post(database: Database, channel_id: int, version: str | None, form: PostForm | None) -> Delivery:
    """Record a post of Flask, and return its delivery."""

    def build(current: Subscription | None, timezone: str) -> Subscription:
        return subscription_rules.subscribe(current, GUILD, channel_id, timezone, Choices(), MONDAY)

    subscription = (await Subscriptions(database).put(GUILD, channel_id, build)).after
    ledger = Deliveries(database)
    delivery = await ledger.claim_manual(subscription, lambda *_: Plan("flask", 1), MONDAY, LEASE)
    assert delivery is not None
    await ledger.record_sent(delivery, channel_id + 1000, channel_id, [], MONDAY, version, form)
    found = await ledger.get(delivery.id)
    assert found is not None
    return found


@pytest.mark.parametrize("form", PostForm)
async def test_the_form_of_a_post_is_stored_with_its_delivery(database: Database, form: PostForm) -> None:
    recorded = await record_post(database, CHANNEL, "v1", form)
    assert (recorded.form, recorded.known_form) == (form, form)
    async with database.read() as connection:
        assert await connection.scalar(select(deliveries.c.form)) == form.value


async def test_posts_of_either_form_are_counted_enqueued_and_claimed_with_their_form(database: Database) -> None:
    components = await record_post(database, CHANNEL, "old components", PostForm.COMPONENTS)
    embed = await record_post(database, OTHER, "old embed", PostForm.EMBED)
    republication, versions = Republication(database), {"new components", "new embed"}
    assert await republication.count({"flask"}, versions) == PostCounts(current=0, outdated=2, waiting=0)
    assert await republication.enqueue_outdated({"flask"}, versions, SLOT) == 2
    claimed = {delivery.id: delivery for delivery in await republication.claim(SLOT, LEASE, 10)}
    assert {id_: delivery.form for id_, delivery in claimed.items()} == {
        components.id: PostForm.COMPONENTS,
        embed.id: PostForm.EMBED,
    }
    await republication.record_edit(claimed[components.id], "new components")
    await republication.record_edit(claimed[embed.id], "new embed")
    assert await republication.count({"flask"}, versions) == PostCounts(current=2, outdated=0, waiting=0)
    again = await Deliveries(database).get(embed.id)
    assert again is not None
    assert (again.version, again.form) == ("new embed", PostForm.EMBED)


def upgrade_to_0009(connection: Connection) -> None:
    """Create the schema before forms, with a post that has a version and one that was found in the history."""
    upgrade(connection, "0009")
    old = MetaData()
    old.reflect(connection)
    guild = {"guild_id": GUILD, "timezone": "UTC"}
    subscription = {
        "id": 1,
        "guild_id": GUILD,
        "channel_id": CHANNEL,
        "track": "everything",
        "weekday": 0,
        "at": "09:00",
        "thread": False,
        "pin": False,
        "publish": True,
        "round": 1,
        "next_slot": SLOT,
        "next_week": SLOT.date(),
        "active": True,
        "paused": False,
    }
    delivery = {
        "subscription_id": 1,
        "topic": "flask",
        "round": 1,
        "scheduled": True,
        "chosen": False,
        "state": "sent",
        "attempts": 1,
    }
    connection.execute(old.tables["guilds"].insert(), guild)
    connection.execute(old.tables["subscriptions"].insert(), subscription)
    connection.execute(old.tables["deliveries"].insert(), delivery | {"id": "posted", "slot": MONDAY, "version": "v1"})
    connection.execute(old.tables["deliveries"].insert(), delivery | {"id": "found", "slot": SLOT})


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_post_of_an_earlier_version_has_components(tmp_path: Path, kind: str) -> None:
    """The form of a found message is unknown, because a later version may have posted it."""
    with empty_database_url(kind, tmp_path) as url:
        database = Database(url)
        try:
            async with database.write() as connection:
                await connection.run_sync(upgrade_to_0009)
            await database.upgrade()
            posted, found = [await Deliveries(database).get(id_) for id_ in ("posted", "found")]
        finally:
            await database.close()
    assert posted is not None
    assert found is not None
    assert (posted.form, posted.known_form) == (None, PostForm.COMPONENTS)
    assert found.known_form is None
