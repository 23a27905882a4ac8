"""Responses to interactions, which have their own token."""

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.error import ApiError
from discord_server.interaction import TOKEN_LIFE, Interaction
from discord_server.message import Message
from discord_server.world import World

CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
ORIGINAL = f"{WEBHOOK}/messages/@original"
FOLLOWUP = f"{WEBHOOK}/messages/{{message_id}}"

routes = Routes()


def _asked(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() in ("1", "true")


@routes.on("POST", CALLBACK, needs_token=False)
def answer_interaction(world: World, call: Call) -> Reply:
    """Accept the first response."""
    interaction = world.interactions.get(call.parameters["interaction_token"])
    if interaction is None or interaction.id != call.id("interaction_id"):
        raise ApiError(10062)
    interaction.acknowledge(call.body, call.uploads)
    return Reply(interaction.callback_payload()) if _asked(call, "with_response") else NO_CONTENT


def _interaction(world: World, call: Call) -> Interaction:
    interaction = world.interactions.get(call.parameters["webhook_token"])
    if interaction is None or call.id("webhook_id") != world.application.id:
        raise ApiError(10015)
    if interaction.age > TOKEN_LIFE:
        raise ApiError(50027)
    return interaction


@routes.on("POST", WEBHOOK, needs_token=False)
def follow_up(world: World, call: Call) -> Reply:
    """Accept a follow-up message."""
    message = _interaction(world, call).follow_up(call.body, call.uploads)
    return Reply(message.payload()) if _asked(call, "wait") else NO_CONTENT


def _answer(world: World, call: Call) -> tuple[Interaction, Message]:
    interaction = _interaction(world, call)
    return interaction, interaction.find(call.parameters.get("message_id", "@original"))


@routes.on("GET", ORIGINAL, FOLLOWUP, needs_token=False)
def read_answer(world: World, call: Call) -> Reply:
    """Return a response."""
    return Reply(_answer(world, call)[1].payload())


@routes.on("PATCH", ORIGINAL, FOLLOWUP, needs_token=False)
def edit_answer(world: World, call: Call) -> Reply:
    """Edit a response, or replace a deferral."""
    interaction, message = _answer(world, call)
    interaction.edit(message, call.body, call.uploads)
    return Reply(message.payload())


@routes.on("DELETE", ORIGINAL, FOLLOWUP, needs_token=False)
def delete_answer(world: World, call: Call) -> Reply:
    """Delete a response."""
    interaction, message = _answer(world, call)
    interaction.delete(message)
    return NO_CONTENT
