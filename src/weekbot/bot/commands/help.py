"""`/help`: what there is, on one screen."""

from typing import Any

from discord import app_commands, ui

from weekbot.bot.answers import Interaction, answered, show
from weekbot.bot.cards import COLOURS, Card
from weekbot.content.model import Category

MEMBERS = """## weekbot
One Python topic a week, and a book of them to look things up in.
### For everyone
- `/framework` looks a framework up, whatever its spelling
- `/compare` sets two side by side
- `/topic current` is this channel's topic of the week
- `/topic list` shows all topics, `/topic show` one, `/topic random` any
- `/progress` shows what you finished, `/privacy` what is kept about you"""
MODERATORS = """### For moderators
- `/weekly subscribe` posts a topic here each week: choose day, time, track and more
- `/weekly preview` shows the next post, `/weekly status` how all are doing
- `/weekly next` chooses a topic, `/weekly skip` leaves one out, `/weekly post` posts now
- `/weekly pause`, `/weekly resume` and `/weekly unsubscribe` do what they say
- `/weekly settings` sets the server's time zone"""


@app_commands.command(name="help", description="What weekbot can do")
@answered
async def help_(interaction: Interaction) -> None:
    texts: list[ui.TextDisplay[Any]] = [ui.TextDisplay(MEMBERS)]
    if interaction.permissions.manage_guild:
        texts.append(ui.TextDisplay(MODERATORS))
    await show(interaction, Card(COLOURS[Category.BASICS], *texts), private=True)
