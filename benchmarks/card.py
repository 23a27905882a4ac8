"""The card that all measured bots send: a framework's weekly post."""

from pathlib import Path

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import Card
from weekbot.bot.cards.post_renderer import PREVIEW_ID
from weekbot.content.loading.folder import load_library
from weekbot.i18n.language import ENGLISH

CONTENT = Path(__file__).parents[1] / "content"
TOPIC = "flask"


def card() -> Card:
    return topic_cards.post(ENGLISH, load_library(CONTENT).topics[TOPIC], PREVIEW_ID)
