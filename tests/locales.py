"""The locale of a member's Discord client, which is always US English in SimCord."""

from collections.abc import Mapping
from typing import Any, cast

from simcord import Env, MemberActor

US_ENGLISH = "en-US"


def set_locale(env: Env, member: MemberActor, locale: str) -> None:
    """Send the member's interactions with this Discord locale, such as `de`, from now on."""

    def add_locale(event: str, payload: Mapping[str, Any]) -> None:
        if event == "INTERACTION_CREATE" and payload.get("member", payload)["user"]["id"] == str(member.id):
            cast("dict[str, Any]", payload)["locale"] = locale

    # Subscribed first, so that the bot gets the changed event.
    env.backend.subscribers.insert(0, add_locale)
