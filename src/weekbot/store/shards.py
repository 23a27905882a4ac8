"""The servers of shards, as a condition of queries."""

from sqlalchemy import Column, ColumnElement, true

from weekbot.domain.shards import TIMESTAMP_FROM, Shards


def on_shards(shards: Shards, guild_id: Column[int]) -> ColumnElement[bool]:
    if len(shards.ids) == shards.count:
        return true()
    return (guild_id // TIMESTAMP_FROM % shards.count).in_(shards.ids)
