"""Renders weekly posts: each topic once in each form and language, then stamped for each channel."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from discord import ComponentType, Embed, ui

from weekbot.bot.cards import custom_ids, topic_cards
from weekbot.content.model import Topic
from weekbot.discord_io.sender import MessageArguments
from weekbot.domain.deliveries import PostForm
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import Language, language_of, languages

Payload = dict[str, Any]

PREVIEW_ID = "preview"
"""Replaces the delivery's id in posts that are only previews."""
FIRST_MARK = 1 << 30
"""Marks have 31 bits, and are larger than the ids that Discord gives to components, which it numbers from 1."""


def new_mark() -> int:
    """Return a random mark for a process: the id of the *More* button in its posts."""
    return FIRST_MARK + secrets.randbelow(FIRST_MARK)


class PostCard(ui.LayoutView):
    """A post's components, ready to be sent."""

    def __init__(self, components: list[Payload], form: PostForm) -> None:
        super().__init__(timeout=None)
        self._components = components
        self._form = form
        self.stop()

    def to_components(self) -> list[Payload]:
        return self._components

    def has_components_v2(self) -> bool:
        return self._form is PostForm.COMPONENTS


@dataclass(frozen=True)
class _Rendering:
    """A topic's post without the delivery's id; `version` is a digest of everything that is seen or pressed."""

    topic: Topic
    embed: Embed | None
    components: list[Payload]
    version: str


class RenderedPosts:
    """Caches rendered posts until their topic is reloaded. Posts carry the `mark`, if there is one."""

    def __init__(self, home_channel_id: int | None = None, mark: int | None = None) -> None:
        self._home_channel_id = home_channel_id
        self._mark = {"id": mark} if mark else {}
        self._rendered: dict[tuple[str, str, PostForm], _Rendering] = {}

    def form(self, subscription: Subscription) -> PostForm:
        """Return the form of the subscription's next post: following channels may not show components."""
        followed = subscription.options.publish or subscription.channel_id == self._home_channel_id
        return PostForm.EMBED if followed else PostForm.COMPONENTS

    def version(self, topic: Topic, locale: str | None, form: PostForm) -> str:
        return self._rendering(topic, language_of(locale), form).version

    def versions(self, topic: Topic) -> frozenset[str]:
        """Return the versions of all languages and forms."""
        return frozenset(self._rendering(topic, tr, form).version for tr, form in product(languages(), PostForm))

    def render(
        self, topic: Topic, delivery_id: str, ping_role_id: int | None, locale: str | None, form: PostForm
    ) -> MessageArguments:
        """Return the post of a delivery; `locale` is one of Discord's."""
        blank, own = custom_ids.more(PREVIEW_ID, topic.slug), custom_ids.more(delivery_id, topic.slug)
        rendering = self._rendering(topic, language_of(locale), form)
        stamp: Payload = {"custom_id": own, **self._mark}
        components = [_stamped(component, blank, stamp) for component in rendering.components]
        mention = f"<@&{ping_role_id}>" if ping_role_id else None
        if rendering.embed:
            return {"content": mention, "embeds": [rendering.embed], "view": PostCard(components, form)}
        if mention:  # last, so that notifications begin with the topic
            components.append({"type": ComponentType.text_display.value, "content": mention})
        return {"view": PostCard(components, form)}

    def is_foreign(self, components: Iterable[Payload]) -> bool:
        """Return whether another process made the post; posts of earlier versions carry no mark."""
        marks = [mark for mark in _ids(components) if mark >= FIRST_MARK]
        return bool(marks) and self._mark.get("id") not in marks

    def _rendering(self, topic: Topic, tr: Language, form: PostForm) -> _Rendering:
        known = self._rendered.get((topic.slug, tr.locale, form))
        if known is None or known.topic is not topic:
            known = self._rendered[topic.slug, tr.locale, form] = _render(tr, topic, form)
        return known


def _render(tr: Language, topic: Topic, form: PostForm) -> _Rendering:
    if form is PostForm.COMPONENTS:
        components: list[Payload] = topic_cards.post(tr, topic, PREVIEW_ID).to_components()  # type: ignore[no-untyped-call]
        return _Rendering(topic, None, components, _digest(components))
    embed = topic_cards.post_embed(tr, topic)
    components = [topic_cards.post_buttons(tr, topic, PREVIEW_ID).to_component_dict()]
    return _Rendering(topic, embed, components, _digest([embed.to_dict(), components]))


def _digest(shown: object) -> str:
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def _stamped(component: Payload, blank: str, stamp: Payload) -> Payload:
    """Merge the stamp into the component with the blank custom id; unchanged parts are shared."""
    if component.get("custom_id") == blank:
        return component | stamp
    if "components" in component:
        return component | {"components": [_stamped(child, blank, stamp) for child in component["components"]]}
    return component


def _ids(components: Iterable[Payload]) -> Iterator[int]:
    for component in components:
        yield component.get("id") or 0
        yield from _ids(component.get("components") or [])
