"""Topic lookup by typed names, and the choice of the next topic."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weekbot.content.library import MAX_CHOICES, Library, normalize_name, reading_order
from weekbot.content.model import Concept, Framework, Topic
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.domain.planning import next_topic

FRAMEWORKS = {
    "apistar": ["API Star", "api star", "apistar", "ApiStar", "api-star"],
    "dash": ["Dash", "plotly dash", "DASH"],
    "django": ["Django", "DJANGO", "django framework"],
    "flask": ["Flask", "flask framework", "FLASK", "pallets flask"],
    "frappe": ["Frappe", "frappe framework", "Frappé"],
    "graphene": ["Graphene", "graphene-python", "GraphQL"],
    "matplotlib": ["Matplotlib", "mpl", "plt", "mat plot lib"],
    "numpy": ["NumPy", "np", "num py", "NUMPY"],
    "pyramid": ["Pyramid", "pylons", "pyramid framework"],
    "robot-framework": ["Robot Framework", "robotframework", "robot_framework", "ROBOT-FRAMEWORK", "rf"],
    "sanic": ["Sanic", "sanic framework", "SANIC"],
    "scrapy": ["Scrapy", "scrapy spider", "Scrapy!"],
    "selenium": ["Selenium", "webdriver", "selenium-webdriver"],
    "tensorflow": ["TensorFlow", "tensor flow", "tf", "Tensor-Flow", "tf.keras"],
    "turbogears": ["TurboGears", "turbo gears", "turbogears2", "tg"],
    "aiohttp": ["aiohttp", "aio http", "AIOHTTP", "aiohttp client"],
    "airflow": ["Airflow", "Apache Airflow", "apache-airflow", "AIRFLOW"],
    "behave": ["behave", "Behave", "python behave", "BDD"],
    "bottle": ["Bottle", "bottle.py", "BOTTLE"],
    "celery": ["Celery", "celery beat", "CELERY"],
    "cherrypy": ["CherryPy", "cherry py", "Cherry-Py"],
    "dask": ["Dask", "dask dataframe", "DASK"],
    "discord-py": ["discord.py", "discord py", "discordpy", "Discord"],
    "django-ninja": ["Django Ninja", "django-ninja", "djangoninja"],
    "django-rest-framework": ["Django REST framework", "DRF", "django-rest-framework", "django rest"],
    "falcon": ["Falcon", "falcon framework", "FALCON"],
    "fastapi": ["FastAPI", "fast api", "Fast-API", "fastapi"],
    "gradio": ["Gradio", "GRADIO", "gradio blocks"],
    "hypothesis": ["Hypothesis", "property based testing", "HYPOTHESIS"],
    "jax": ["JAX", "jax", "jax numpy"],
    "kivy": ["Kivy", "KIVY", "kv language"],
    "litestar": ["Litestar", "Starlite", "lite star"],
    "locust": ["Locust", "locust.io", "load testing"],
    "nicegui": ["NiceGUI", "nice gui", "Nice-GUI"],
    "pandas": ["pandas", "Pandas", "pd"],
    "playwright": ["Playwright", "play wright", "playwright python"],
    "plotly": ["Plotly", "plotly express", "plotly.py"],
    "polars": ["Polars", "POLARS", "pl"],
    "pydantic": ["Pydantic", "pydantic v2", "BaseModel"],
    "pygame-ce": ["pygame-ce", "pygame ce", "pygame", "PyGame"],
    "pytest": ["pytest", "py.test", "PyTest"],
    "pytorch": ["PyTorch", "torch", "py torch"],
    "quart": ["Quart", "QUART", "quart framework"],
    "reflex": ["Reflex", "pynecone", "REFLEX"],
    "scikit-learn": ["scikit-learn", "scikit learn", "sklearn", "Scikit_Learn"],
    "scipy": ["SciPy", "sci py", "SCIPY"],
    "sqlalchemy": ["SQLAlchemy", "sql alchemy", "sqlalchemy orm"],
    "starlette": ["Starlette", "STARLETTE", "starlette framework"],
    "strawberry": ["Strawberry", "strawberry graphql", "STRAWBERRY"],
    "streamlit": ["Streamlit", "stream lit", "st"],
    "textual": ["Textual", "TUI", "TEXTUAL"],
    "tornado": ["Tornado", "tornado web", "TORNADO"],
    "typer": ["Typer", "typer cli", "TYPER"],
    "wagtail": ["Wagtail", "wagtail cms", "WAGTAIL"],
}
typed_names = st.text() | st.text("abcdefghijklmnopqrstuvwxyz -.'")
slugs = st.sampled_from([f"topic-{letter}" for letter in "abcdefghijkl"])
orders = st.lists(slugs, min_size=1, unique=True)


def slugs_of(topics: Iterable[Topic]) -> list[str]:
    return [topic.slug for topic in topics]


def renamed(topic: Topic, title: str, **fields: Any) -> Topic:
    """Return a copy of the topic with another title."""
    fields = {"aliases": (), "summary": "Nothing.", "related": ()} | fields
    return topic.model_copy(update={"title": title, "slug": title.lower().replace(" ", "-"), **fields})


def library_of(topics: list[Topic], popular: list[str] | None = None) -> Library:
    everything = Track(slug=EVERYTHING, title="Everything", summary="All.", topics=tuple(slugs_of(topics)))
    return Library(topics, [everything], popular or [])


@pytest.mark.parametrize(("slug", "name"), [(slug, name) for slug, names in FRAMEWORKS.items() for name in names])
def test_a_framework_is_found_by_the_names_people_use(library: Library, slug: str, name: str) -> None:
    found = library.find(name)
    assert isinstance(found, Framework)
    assert found.slug == slug


def test_every_framework_is_tested(library: Library) -> None:
    assert {topic.slug for topic in library.topics.values() if isinstance(topic, Framework)} == set(FRAMEWORKS)


@pytest.mark.parametrize(
    "name", ["what is a framework", "What is a framework?", "what-is-a-framework", "Inversion of control", "IoC"]
)
def test_a_concept_is_found_like_a_framework(library: Library, name: str) -> None:
    found = library.find(name)
    assert isinstance(found, Concept)
    assert found.slug == "what-is-a-framework"


def test_every_slug_title_and_alias_finds_its_topic(library: Library) -> None:
    for topic in library.topics.values():
        for name in (topic.slug, topic.title, *topic.aliases):
            for typed in (
                name,
                name.upper(),
                name.lower(),
                f"  {name}!",
                name.replace(" ", "-"),
                name.replace("-", " "),
            ):
                assert library.find(typed) is topic, typed


@pytest.mark.parametrize("name", ["Fläsk", "FLÁSK", "ｆｌａｓｋ", "F l a s k", "«flask»", "flask\n"])
def test_lookup_ignores_accents_width_spaces_and_punctuation(library: Library, name: str) -> None:
    assert library.find(name) is library.topics["flask"]


@pytest.mark.parametrize("name", ["", " ", "?", "flasks and jars", "🐍", "fla"])
def test_an_unknown_name_finds_nothing(library: Library, name: str) -> None:
    assert library.find(name) is None


@pytest.mark.parametrize(
    ("typed", "intended"),
    [
        ("djnago", "django"),
        ("flsk", "flask"),
        ("sanik", "sanic"),
        ("numpi", "numpy"),
        ("scrappy", "scrapy"),
        ("selenum", "selenium"),
        ("tensorflwo", "tensorflow"),
        ("matplotib", "matplotlib"),
        ("pyramd", "pyramid"),
        ("turbo gear", "turbogears"),
        ("frape", "frappe"),
        ("grafene", "graphene"),
        ("robbot", "robot-framework"),
        ("robot framwork", "robot-framework"),
        ("api staar", "apistar"),
        ("dsh", "dash"),
        ("jxa", "jax"),
        ("pytets", "pytest"),
        ("panads", "pandas"),
        ("fastpai", "fastapi"),
        ("sklaern", "scikit-learn"),
        ("strealmit", "streamlit"),
    ],
)
def test_a_misspelled_name_suggests_the_intended_topic(library: Library, typed: str, intended: str) -> None:
    assert library.find(typed) is None
    assert slugs_of(library.similar(typed))[0] == intended
    assert slugs_of(library.suggest(typed))[0] == intended


@pytest.mark.parametrize("slug", FRAMEWORKS)
def test_two_swapped_letters_still_suggest_the_framework(library: Library, slug: str) -> None:
    name = normalize_name(library.topics[slug].title)
    for place in range(1, len(name) - 1):
        typo = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
        assert slugs_of(library.similar(typo))[:1] == [slug], typo


@pytest.mark.parametrize("name", ["xylophone", "kubernetes", "zzz", "12345", "qx"])
def test_a_dissimilar_name_has_no_suggestions(library: Library, name: str) -> None:
    assert library.similar(name) == []


def test_suggestions_are_ranked_by_exact_prefix_alias_fuzzy_and_summary_match(library: Library) -> None:
    flask = library.topics["flask"]
    ranked = [
        renamed(flask, "Gears"),
        renamed(flask, "Gears and wheels"),
        renamed(flask, "Third", aliases=("gears of war",)),
        renamed(flask, "Fourth", aliases=("turbo gears",)),
        renamed(flask, "Grears"),
        renamed(flask, "Sixth", summary="About gears and their teeth."),
    ]
    stranger = renamed(flask, "Unrelated")
    assert library_of([stranger, *reversed(ranked)]).suggest("GEARS") == ranked


def test_a_summary_match_needs_every_word_in_any_order(library: Library) -> None:
    assert slugs_of(library.suggest("networks neural")) == ["pytorch"]
    assert library.suggest("neural kubernetes") == []


@pytest.mark.parametrize(
    ("typed", "first"), [("tur", "turbogears"), ("py", "pytest"), ("pyr", "pyramid"), ("wha", "what-is-a-framework")]
)
def test_a_prefix_suggests_the_topic(library: Library, typed: str, first: str) -> None:
    assert first in slugs_of(library.suggest(typed))[:2]


@pytest.mark.parametrize("typed", ["", "   ", "?!"])
def test_an_empty_query_suggests_popular_topics_first(library: Library, typed: str) -> None:
    suggested = slugs_of(library.suggest(typed))
    assert suggested[:3] == ["django", "flask", "fastapi"]
    assert len(set(suggested)) == MAX_CHOICES


@pytest.mark.parametrize("typed", ["", "topic", "t", "nothing"])
def test_suggestions_are_limited_to_discords_maximum(library: Library, typed: str) -> None:
    topics = [renamed(library.topics["flask"], f"Topic {number}") for number in range(60)]
    suggested = library_of(topics, popular=["topic-59"]).suggest(typed)
    assert len(suggested) == MAX_CHOICES == 25
    assert (suggested[0] is topics[59]) == (typed == "")


@settings(max_examples=150, deadline=None)
@given(typed=typed_names)
@example(typed="\0")
@example(typed="ß" * 3000)
@example(typed="[" * 100)
@example(typed="%s %d {} \\")
def test_any_text_can_be_looked_up(library: Library, typed: str) -> None:
    found, near, suggested = library.find(typed), library.similar(typed), library.suggest(typed)
    assert len(near) <= 3
    assert len(suggested) <= MAX_CHOICES
    assert len(set(slugs_of(suggested))) == len(suggested)
    if found:
        assert suggested[0] is near[0] is found


def test_related_topics_are_in_the_library(library: Library) -> None:
    flask = library.topics["flask"]
    assert slugs_of(library.related(flask)) == list(flask.related)
    for topic in library.topics.values():
        assert topic not in library.related(topic)


def test_a_random_topic_is_in_the_library(library: Library) -> None:
    assert {library.random().slug for _ in range(200)} <= set(library.topics)


@pytest.mark.parametrize(
    ("start", "expected"),
    [(None, "abcd"), ("a", "abcd"), ("c", "cdab"), ("d", "dabc"), ("gone", "abcd")],
)
def test_the_reading_order_starts_with_the_chosen_topic_and_wraps_around(start: str | None, expected: str) -> None:
    track = Track(slug="letters", title="Letters", summary="Four.", topics=("a", "b", "c", "d"))
    assert "".join(reading_order(track, start)) == expected


@given(orders, st.none() | slugs)
def test_a_reading_order_is_a_rotation_of_the_track(order: list[str], start: str | None) -> None:
    track = Track(slug="any", title="Any", summary="Any.", topics=tuple(order))
    read = reading_order(track, start)
    assert sorted(read) == sorted(order)
    assert read[0] == (start if start in order else order[0])
    followers = dict(zip(order, [*order[1:], order[0]], strict=True))
    assert all(followers[slug] == following for slug, following in pairwise(read))


@given(orders, st.integers(1, 3))
def test_each_round_has_every_topic_once_in_order(order: list[str], rounds: int) -> None:
    posted: list[str] = []
    round_starts: list[int] = []
    used: set[str] = set()
    for week in range(rounds * len(order)):
        slug, new_round = next_topic(order, used)
        used = {slug} if new_round else used | {slug}
        posted.append(slug)
        round_starts += [week] if new_round else []
    assert posted == order * rounds
    assert round_starts == [len(order) * number for number in range(1, rounds)]


@settings(max_examples=200)
@given(st.lists(st.tuples(orders, st.integers(0, 4)), min_size=1, max_size=6))
@example([(["topic-a", "topic-c"], 1), (["topic-b", "topic-a", "topic-c"], 9)])
@example([(["topic-a", "topic-b", "topic-c"], 2), (["topic-c", "topic-a"], 9)])
def test_edits_of_a_track_neither_repeat_nor_lose_a_topic(
    edits: list[tuple[list[str], int]],
) -> None:
    """Post some topics after each edit, and one full round at the end."""
    used: set[str] = set()
    posted: list[str] = []
    for order, weeks in [*edits, (edits[-1][0], len(edits[-1][0]))]:
        for _ in range(weeks):
            slug, new_round = next_topic(order, used)
            if new_round:
                assert set(order) <= set(posted), "a round ended although a topic was not posted"
                used, posted = set(), []
            else:
                assert slug == next(waiting for waiting in order if waiting not in used)
            assert slug not in posted, "a topic was posted twice in a round"
            used.add(slug)
            posted.append(slug)
