"""Weekly posts for sending: each topic is rendered once, and stamped for each channel."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from discord import ComponentType, ui

from weekbot.bot import cards, custom_ids
from weekbot.content.model import Topic
from weekbot.language import Language, language_of, languages

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


@dataclass(frozen=True)
class _Rendering:
    """A topic's post with a blank for the delivery; `version` differs wherever something seen or pressed does."""

    topic: Topic
    components: list[Payload]
    version: str


class PostCards:
    """Keeps the rendered form of each topic in each language until its content is reloaded.

    Languages are given as Discord's locales.
    """

    def __init__(self) -> None:
        self._rendered: dict[tuple[str, str], _Rendering] = {}

    def version(self, topic: Topic, locale: str | None) -> str:
        return self._rendering(topic, language_of(locale)).version

    def versions(self, topic: Topic) -> frozenset[str]:
        """Those of all languages."""
        return frozenset(self._rendering(topic, tr).version for tr in languages())

    def stamped(self, topic: Topic, delivery_id: str, ping_role_id: int | None, locale: str | None) -> PostCard:
        """The post of a delivery, as `cards.post` makes it."""
        blank, own = custom_ids.more(cards.PREVIEW_ID, topic.slug), custom_ids.more(delivery_id, topic.slug)
        rendering = self._rendering(topic, language_of(locale))
        components = [_stamped(component, blank, own) for component in rendering.components]
        if ping_role_id:
            components.append({"type": ComponentType.text_display.value, "content": f"<@&{ping_role_id}>"})
        return PostCard(components)

    def _rendering(self, topic: Topic, tr: Language) -> _Rendering:
        known = self._rendered.get((topic.slug, tr.locale))
        if known is None or known.topic is not topic:
            known = self._rendered[topic.slug, tr.locale] = _render(tr, topic)
        return known


def _render(tr: Language, topic: Topic) -> _Rendering:
    components: list[Payload] = cards.post(tr, topic, cards.PREVIEW_ID).to_components()  # type: ignore[no-untyped-call]
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return _Rendering(topic, components, digest[:32])


def _stamped(component: Payload, blank: str, own: str) -> Payload:
    """The component with its own custom id in place of the blank one; what does not change is shared."""
    if component.get("custom_id") == blank:
        return component | {"custom_id": own}
    if "components" in component:
        return component | {"components": [_stamped(child, blank, own) for child in component["components"]]}
    return component
