"""Weekly posts for sending: each topic is rendered once, and stamped for each channel."""

from typing import Any

from discord import ComponentType, ui

from weekbot.bot import cards, custom_ids
from weekbot.content.model import Topic

Payload = dict[str, Any]


class PostCard(ui.LayoutView):
    """A post whose components are ready to be sent."""

    def __init__(self, components: list[Payload]) -> None:
        super().__init__(timeout=None)
        self._components = components
        self.stop()

    def to_components(self) -> list[Payload]:
        return self._components

    def has_components_v2(self) -> bool:
        return True


class PostCards:
    """Keeps the rendered form of each topic until its content is reloaded."""

    def __init__(self) -> None:
        self._rendered: dict[str, tuple[Topic, list[Payload]]] = {}

    def stamped(self, topic: Topic, delivery_id: str, ping_role_id: int | None) -> PostCard:
        """The post of a delivery, as `cards.post` makes it."""
        blank, own = custom_ids.more(cards.PREVIEW_ID, topic.slug), custom_ids.more(delivery_id, topic.slug)
        components = [_stamped(component, blank, own) for component in self._components(topic)]
        if ping_role_id:
            components.insert(0, {"type": ComponentType.text_display.value, "content": f"<@&{ping_role_id}>"})
        return PostCard(components)

    def _components(self, topic: Topic) -> list[Payload]:
        rendered = self._rendered.get(topic.slug)
        if rendered is None or rendered[0] is not topic:
            card = cards.post(topic, cards.PREVIEW_ID)
            rendered = self._rendered[topic.slug] = topic, card.to_components()  # type: ignore[no-untyped-call]
        return rendered[1]


def _stamped(component: Payload, blank: str, own: str) -> Payload:
    """The component with its own custom id in place of the blank one; what does not change is shared."""
    if component.get("custom_id") == blank:
        return component | {"custom_id": own}
    if "components" in component:
        return component | {"components": [_stamped(child, blank, own) for child in component["components"]]}
    return component
