"""Translations of topics: files beside the originals, which are optional and are checked like them."""

import re
import shutil
from pathlib import Path

import pytest
from pydantic import AnyHttpUrl

from conftest import CONTENT
from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.formatting import file_of
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library, read_draft, read_folder
from weekbot.content.model import Framework, translated
from weekbot.content.problems import ContentError
from weekbot.i18n.language import LOCALES, language_of

TRANSLATED = ["how-to-use-these-weeks", "what-is-a-framework", "what-is-a-web-framework"]
CONCEPT = "what-is-a-framework"
FLASK = """---
title: Flask auf Deutsch
summary: Ein kleiner Kern, der dir jede andere Wahl lässt.
reviewed: 2026-11-24
---

## What it is

Ein Rahmen.

## When to choose it

Oft.

## When not to

Selten.

## The week

1. eins
2. zwei
3. drei
4. vier
5. fünf
6. sechs
7. sieben

## Discuss

Und du?

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTENT, tmp_path / "content"))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / "topics" / name
    path.write_text(text, "utf-8")
    return path


def flask_in_german(folder: Path) -> str:
    """Write a translation with the quiz in English."""
    original = (folder / "topics" / "flask.md").read_text("utf-8")
    return FLASK + original[original.index("## Quiz") :]


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ContentError) as caught:
        load_library(folder)
    return [f"{each.path.name}:{each.position.line}: {each.message}" for each in caught.value.problems]


@pytest.mark.parametrize("slug", TRANSLATED)
def test_the_three_concepts_have_german_translations(library: Library, slug: str) -> None:
    original = library.topics[slug]
    german = translated(original, "de")
    assert german is not original
    assert german.slug == slug
    assert german.summary != original.summary
    assert all(translation != text for translation, text in zip(german.body.week, original.body.week, strict=True))
    assert german.body.quiz.right == original.body.quiz.right


def test_a_topic_without_a_translation_is_unchanged(library: Library) -> None:
    flask = library.topics["flask"]
    assert translated(flask, "de") is flask
    assert translated(library.topics[CONCEPT], "fr") is library.topics[CONCEPT]


def test_a_topic_is_found_by_its_title_in_any_language(library: Library) -> None:
    for slug in TRANSLATED:
        assert library.find(translated(library.topics[slug], "de").title) is library.topics[slug]


def test_a_translated_title_does_not_shadow_another_topic(folder: Path) -> None:
    write(folder, "flask.de.md", flask_in_german(folder).replace("Flask auf Deutsch", "Django"))
    library = load_library(folder)
    assert library.find("Django") is library.topics["django"]


def test_a_translated_framework_keeps_its_metadata_and_code(folder: Path) -> None:
    write(folder, "flask.de.md", flask_in_german(folder))
    flask = load_library(folder).topics["flask"]
    german = translated(flask, "de")
    assert isinstance(flask, Framework)
    assert isinstance(german, Framework)
    assert german.title == "Flask auf Deutsch"
    assert german.body.when_not == "Selten."
    assert german.body.first_steps == flask.body.first_steps
    assert (german.package, german.licence, german.docs) == (flask.package, flask.licence, flask.docs)


def test_a_translated_title_is_optional(folder: Path) -> None:
    write(folder, "flask.de.md", flask_in_german(folder).replace("title: Flask auf Deutsch\n", ""))
    assert translated(load_library(folder).topics["flask"], "de").title == "Flask"


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ((r"reviewed:", "revewed:"), "flask.de.md:4: revewed is not a known key; did you mean reviewed?"),
        ((r"Rahmen", "x" * 801), "flask.de.md:9: What it is has 806 characters, at most 800 fit"),
        ((r"7\. sieben\n", ""), "The week has 6 entries, at least 7 are needed"),
        ((r"Und du\?", "Und du."), "flask.de.md:31: Discuss must be a question that ends with a question mark"),
        ((r"## Discuss\n\nUnd du\?\n", ""), "Discuss is missing"),
        ((r"Ein Rahmen", "<b>Ein</b> Rahmen"), "flask.de.md:9:"),
        ((r"---\ntitle", "title"), "flask.de.md:1: must begin with front matter between two --- lines"),
    ],
)
def test_a_problem_in_a_translation_has_its_position(folder: Path, edit: tuple[str, str], named: str) -> None:
    write(folder, "flask.de.md", re.sub(edit[0], edit[1], flask_in_german(folder), count=1))
    assert any(named in problem for problem in problems_of(folder))


def test_a_translation_must_mark_the_same_quiz_answer(folder: Path) -> None:
    text = flask_in_german(folder).replace("- [x]", "- [ ]")
    head, _, quiz = text.partition("## Quiz")
    other = next(line for line in quiz.splitlines() if line.startswith("- [ ]") and line not in original_right(folder))
    write(folder, "flask.de.md", f"{head}## Quiz{quiz.replace(other, other.replace('[ ]', '[x]'), 1)}")
    [problem] = problems_of(folder)
    assert "marks a different answer than flask.md; keep the answers in its order" in problem


def original_right(folder: Path) -> str:
    text = (folder / "topics" / "flask.md").read_text("utf-8")
    return next(line for line in text.splitlines() if line.startswith("- [x]")).replace("[x]", "[ ]")


def test_a_translation_may_not_contain_code(folder: Path) -> None:
    text = flask_in_german(folder)
    first_steps = "## First steps\n\n```sh\npip install Flask\n```\n\n```python\nx\n```\n\n```text\nx\n```\n\n"
    write(folder, "flask.de.md", text.replace("## The week", f"{first_steps}## The week"))
    assert any("First steps are taken from the original; remove them here" in each for each in problems_of(folder))


def test_a_translation_into_an_unknown_language_or_of_an_unknown_topic_is_a_problem(folder: Path) -> None:
    for name in ("flask.it.md", "flask.de.at.md", "flsk.de.md"):
        write(folder, name, flask_in_german(folder))
    found = problems_of(folder)
    assert "flask.it.md:1: it isn't supported; use one of de, es, fr, pt_BR" in found
    assert "flask.de.at.md:1: de.at isn't supported; use one of de, es, fr, pt_BR" in found
    assert "flsk.de.md:1: there is no topic flsk to translate" in found


def test_a_translation_of_a_broken_topic_is_not_checked(folder: Path) -> None:
    write(folder, "flask.de.md", flask_in_german(folder))
    path = folder / "topics" / "flask.md"
    path.write_text(path.read_text("utf-8").replace("status: active", "status: asleep"), "utf-8")
    assert [problem.partition(":")[0] for problem in problems_of(folder)] == ["flask.md"]


def test_every_card_of_a_translated_topic_is_in_one_language(library: Library) -> None:
    tr, topic = language_of("de"), library.topics[CONCEPT]
    german = translated(topic, "de")
    for card in (
        topic_cards.post(tr, topic, "x"),
        topic_cards.lookup(tr, topic),
        topic_cards.section(tr, topic, "what_it_is"),
    ):
        text = str(card.to_components())  # type: ignore[no-untyped-call]
        assert german.title in text
        assert topic.title not in text


def test_the_edit_link_leads_to_the_translated_file(library: Library) -> None:
    repository = AnyHttpUrl("https://github.com/example/weekbot")
    assert str(file_of(repository, library.topics[CONCEPT], "de")).endswith(f"/{CONCEPT}.de.md")
    assert str(file_of(repository, library.topics[CONCEPT], "fr")).endswith(f"/{CONCEPT}.md")


def test_a_draft_of_a_translation_has_its_language(folder: Path) -> None:
    path = write(folder, "flask.de.md", flask_in_german(folder))
    draft = read_draft(folder, "flask.de")
    assert (draft.path, draft.locale, draft.problems) == (path, "de", [])
    assert draft.topic
    assert translated(draft.topic, "de").title == "Flask auf Deutsch"
    path.unlink()
    assert "is missing" in read_draft(folder, "flask.de").problems[0].message


def test_topics_are_translated_only_into_supported_languages() -> None:
    found = {each.locale for each in read_folder(CONTENT).translations}
    assert found <= set(LOCALES)
