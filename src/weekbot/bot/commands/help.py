"""`/help`: all commands on one screen."""

from discord import app_commands

from weekbot.bot.cards.card import COLOURS, Card, texts
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, show
from weekbot.content.model import Category
from weekbot.i18n.language import N_, Language

ABOUT = N_("One Python topic each week, and a library of topics to look things up in.")
MEMBERS = (
    N_("`/framework` looks up a framework, however you spell it; `/compare` compares two"),
    N_("`/topic current` shows this week's topic here, `/topic list` all topics, `/topic random` a random one"),
    N_("The buttons under a post record that you finished it, start its quiz and show the rest"),
    N_("`/progress` shows what you finished, `/privacy export` the data stored about you"),
)
MODERATORS = (
    N_("`/weekly subscribe` posts a topic here each week: choose day, time, track and more"),
    N_("`/weekly status` shows how all channels are doing, with buttons to manage each"),
    N_("`/weekly next` chooses a topic, `/weekly preview` shows the next post before anyone else sees it"),
    N_("`/weekly settings` sets the server's time zone and where I report problems"),
)


@app_commands.command(name="help", description="Show what weekbot can do")
@explains_mistakes
async def help_(interaction: Interaction) -> None:
    tr = member_language(interaction)
    about, members = f"## weekbot\n{tr(ABOUT)}", _listed(tr, tr("For everyone"), MEMBERS)
    moderators = _listed(tr, tr("For moderators"), MODERATORS) if interaction.permissions.manage_guild else None
    await show(interaction, Card(COLOURS[Category.BASICS], *texts(about, members, moderators)), private=True)


def _listed(tr: Language, heading: str, lines: tuple[str, ...]) -> str:
    return "\n".join([f"### {heading}", *(f"- {tr(line)}" for line in lines)])
