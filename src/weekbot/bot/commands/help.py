"""`/help`: all commands on one screen."""

from typing import Any

from discord import app_commands, ui

from weekbot.bot.cards.card import COLOURS, Card
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, show
from weekbot.content.model import Category
from weekbot.i18n.language import N_, Language

ABOUT = N_("One Python topic a week, and a book of them to look things up in.")
MEMBERS = (
    N_("`/framework` looks a framework up, whatever its spelling; `/compare` sets two side by side"),
    N_("`/topic current` is this week's topic here, `/topic list` shows all, `/topic random` any"),
    N_("The buttons under a post count what you finished, ask its quiz, and show the rest"),
    N_("`/progress` shows what you finished, `/privacy export` what is kept about you"),
)
MODERATORS = (
    N_("`/weekly subscribe` posts a topic here each week: choose day, time, track and more"),
    N_("`/weekly status` shows how all channels are doing, with buttons to look after each"),
    N_("`/weekly next` chooses a topic, `/weekly preview` shows the next post before anyone else sees it"),
    N_("`/weekly settings` sets the server's time zone and where I say what is wrong"),
)


@app_commands.command(name="help", description="What weekbot can do")
@explains_mistakes
async def help_(interaction: Interaction) -> None:
    tr = member_language(interaction)
    texts = [f"## weekbot\n{tr(ABOUT)}", _listed(tr, tr("For everyone"), MEMBERS)]
    if interaction.permissions.manage_guild:
        texts.append(_listed(tr, tr("For moderators"), MODERATORS))
    shown = [ui.TextDisplay[Any](text) for text in texts]
    await show(interaction, Card(COLOURS[Category.BASICS], *shown), private=True)


def _listed(tr: Language, heading: str, lines: tuple[str, ...]) -> str:
    return "\n".join([f"### {heading}", *(f"- {tr(line)}" for line in lines)])
