"""The language of a member's Discord, which SimCord takes for US English."""

from collections.abc import Mapping
from typing import Any, cast

from simcord import Env, MemberActor

US_ENGLISH = "en-US"


def speaks(env: Env, member: MemberActor, locale: str) -> None:
    """From now on all that the member does comes with this locale of Discord's, such as `de`."""

    def heard(event: str, payload: Mapping[str, Any]) -> None:
        if event == "INTERACTION_CREATE" and payload.get("member", payload)["user"]["id"] == str(member.id):
            cast("dict[str, Any]", payload)["locale"] = locale

    # The first to hear: the bot, which hears after it, gets what it changed.
    env.backend.subscribers.insert(0, heard)
