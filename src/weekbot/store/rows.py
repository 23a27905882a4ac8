"""Conversion between database rows and domain types."""

from typing import Any

from sqlalchemy import Row

from weekbot.domain.deliveries import Delivery, PostForm, State
from weekbot.domain.subscriptions import Subscription


def columns_of(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - documented, despite its name


def fields_of(row: Row[Any], kind: type[Any]) -> dict[str, Any]:
    return {name: value for name, value in columns_of(row).items() if name in kind.__dataclass_fields__}


def delivery_of(row: Row[Any], subscription: Subscription) -> Delivery:
    """A form that a later version stored counts as unknown, like that of a message found in the history."""
    columns = fields_of(row, Delivery) | {"subscription": subscription, "state": State(row.state)}
    if row.form in list(PostForm):
        columns["form"] = PostForm(row.form)
    elif row.form:
        columns |= {"form": None, "version": None}
    return Delivery(**columns)


def row_of(delivery: Delivery) -> dict[str, Any]:
    columns = {name: getattr(delivery, name) for name in Delivery.__dataclass_fields__ if name != "subscription"}
    return {**columns, "subscription_id": delivery.subscription.id}
