"""The card that everybody sends: a framework's weekly post."""

from pathlib import Path

from weekbot.bot import cards
from weekbot.content.files import load_library
from weekbot.language import ENGLISH

CONTENT = Path(__file__).parents[1] / "content"
TOPIC = "flask"


def card() -> cards.Card:
    return cards.post(ENGLISH, load_library(CONTENT).topics[TOPIC], cards.PREVIEW_ID)
