"""Rendered posts: each topic is rendered once in each form, and stamped for each channel."""

from dataclasses import replace
from typing import Any

import pytest
from discord import ComponentType

from fakes import CHANNEL, GUILD, MONDAY, OTHER
from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.content.library import Library
from weekbot.domain.deliveries import PostForm
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import LOCALES, language_of

FIRST, SECOND = "a" * 24, "b" * 24
EMBED, COMPONENTS = PostForm.EMBED, PostForm.COMPONENTS
in_each_form = pytest.mark.parametrize("form", PostForm)


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message as it is sent to Discord."""
    embeds = [embed.to_dict() for embed in message.get("embeds", [])]
    return message | {"view": message["view"].to_components(), "embeds": embeds}


@pytest.mark.parametrize("role_id", [None, 42])
@pytest.mark.parametrize("locale", ["en-US", "de", None])
def test_a_stamped_post_equals_a_rendered_one(library: Library, role_id: int | None, locale: str | None) -> None:
    posts, tr = RenderedPosts(), language_of(locale)
    for topic in library.topics.values():
        rendered: list[Any] = topic_cards.post(tr, topic, FIRST).to_components()  # type: ignore[no-untyped-call]
        mention = [{"type": ComponentType.text_display.value, "content": "<@&42>"}] if role_id else []
        components = sent(posts.render(topic, FIRST, role_id, locale, COMPONENTS))
        assert components == {"view": rendered + mention, "embeds": []}
        assert sent(posts.render(topic, FIRST, role_id, locale, EMBED)) == {
            "content": "<@&42>" if role_id else None,
            "embeds": [topic_cards.post_embed(tr, topic).to_dict()],
            "view": [topic_cards.post_buttons(tr, topic, FIRST).to_component_dict()],
        }


@in_each_form
def test_only_the_components_form_uses_components_v2(library: Library, form: PostForm) -> None:
    view = RenderedPosts().render(library.topics["flask"], FIRST, 42, None, form)["view"]
    assert view.has_components_v2() == (form is COMPONENTS)


def test_each_language_and_form_has_its_own_version(library: Library) -> None:
    posts, flask = RenderedPosts(), library.topics["flask"]
    locales = ("en-US", "en-GB", "de", "es-ES", "es-419", "fr", "pt-BR")
    versions = {posts.version(flask, locale, form) for locale in locales for form in PostForm}
    assert posts.versions(flask) == versions
    assert len(versions) == len(LOCALES) * len(PostForm)


@in_each_form
def test_each_channel_gets_its_own_stamp(library: Library, form: PostForm) -> None:
    posts, flask = RenderedPosts(), library.topics["flask"]
    first, second = (sent(posts.render(flask, each, None, None, form)) for each in (FIRST, SECOND))
    assert FIRST in str(first)
    assert FIRST not in str(second)


def test_a_topic_is_rendered_once_in_each_form(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    renderings: list[str] = []

    def count_calls(name: str) -> None:
        render = getattr(topic_cards, name)

        def counting(*arguments: object) -> object:
            renderings.append(name)
            return render(*arguments)

        monkeypatch.setattr(topic_cards, name, counting)

    count_calls("post")
    count_calls("post_embed")
    posts = RenderedPosts()
    for number in range(100):
        for form in PostForm:
            posts.render(library.topics["flask"], f"{number:024}", number or None, None, form)
    assert sorted(renderings) == ["post", "post_embed"]


@in_each_form
def test_an_edited_topic_is_rendered_again(library: Library, form: PostForm) -> None:
    posts, flask = RenderedPosts(), library.topics["flask"]
    before = posts.version(flask, None, form)
    edited = flask.model_copy(update={"summary": "Something else."})
    assert "Something else." in str(sent(posts.render(edited, FIRST, None, None, form)))
    assert posts.version(edited, None, form) != before


@pytest.mark.parametrize(
    ("channel_id", "publish", "form"),
    [(CHANNEL, False, COMPONENTS), (CHANNEL, True, EMBED), (OTHER, False, EMBED), (OTHER, True, EMBED)],
)
def test_a_post_that_is_published_or_in_the_home_channel_is_an_embed(
    channel_id: int, publish: bool, form: PostForm
) -> None:
    options = Options("everything")
    slot = next_slot(options.weekly("UTC"), MONDAY)
    subscription = Subscription(1, GUILD, channel_id, replace(options, publish=publish), "UTC", 1, slot)
    assert RenderedPosts(home_channel_id=OTHER).form(subscription) is form
