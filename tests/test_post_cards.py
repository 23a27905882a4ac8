"""Weekly posts as they are sent: rendered once, stamped for each channel."""

import pytest

from weekbot.bot import cards
from weekbot.bot.post_cards import PostCards
from weekbot.content.library import Library
from weekbot.language import LOCALES, language_of


@pytest.mark.parametrize("role_id", [None, 42])
@pytest.mark.parametrize("locale", ["en-US", "de", None])
def test_a_stamped_post_is_what_rendering_it_would_have_made(
    library: Library, role_id: int | None, locale: str | None
) -> None:
    stamped = PostCards()
    for topic in library.topics.values():
        rendered = cards.post(language_of(locale), topic, "d" * 24, role_id)
        expected = rendered.to_components()  # type: ignore[no-untyped-call]
        assert stamped.stamped(topic, "d" * 24, role_id, locale).to_components() == expected


def test_a_version_is_one_of_the_topics_and_another_in_each_language(library: Library) -> None:
    stamped, flask = PostCards(), library.topics["flask"]
    versions = {stamped.version(flask, locale) for locale in ("en-US", "en-GB", "de", "es-ES", "es-419", "fr", "pt-BR")}
    assert stamped.versions(flask) == versions
    assert len(versions) == len(LOCALES)


def test_each_channel_gets_its_own_stamp(library: Library) -> None:
    stamped, flask = PostCards(), library.topics["flask"]
    first, second = (stamped.stamped(flask, delivery_id, None, None) for delivery_id in ("a" * 24, "b" * 24))
    assert "a" * 24 in str(first.to_components())
    assert "a" * 24 not in str(second.to_components())


def test_a_topic_is_rendered_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    renderings: list[str] = []
    render = cards.post

    def counted(*arguments: object) -> cards.Card:
        renderings.append(str(arguments))
        return render(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cards, "post", counted)
    stamped = PostCards()
    for number in range(100):
        stamped.stamped(library.topics["flask"], f"{number:024}", number or None, None)
    assert len(renderings) == 1


def test_a_topic_that_was_edited_is_rendered_anew(library: Library) -> None:
    stamped, flask = PostCards(), library.topics["flask"]
    stamped.stamped(flask, "a" * 24, None, None)
    edited = flask.model_copy(update={"summary": "Something else."})
    assert "Something else." in str(stamped.stamped(edited, "a" * 24, None, None).to_components())
