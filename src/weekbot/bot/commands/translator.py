"""What commands, their options and choices are called and said to do, in every language."""

from collections.abc import Iterator
from typing import Any

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Place
from discord.app_commands import TranslationContextTypes, locale_str

from weekbot.i18n.language import Context, language_of

_NAMES: dict[Place, Context] = {
    Place.command_name: "command",
    Place.group_name: "command",
    Place.parameter_name: "option",
}
Node = app_commands.Command[Any, ..., Any] | app_commands.Group


class CommandTranslator(app_commands.Translator):
    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        """None where the word is the English one, which Discord shows by itself."""
        tr, message = language_of(locale.value), string.message
        place = _NAMES.get(context.location)
        said = tr.word(place, message) if place else tr(message)
        return said if said != message else None


def words_of(command: Node) -> Iterator[tuple[Context | None, str]]:
    """All words of the command that are to be translated: with what it names, or None for a sentence."""
    yield "command", command.name
    yield None, command.description
    if isinstance(command, app_commands.Group):
        for child in command.commands:
            yield from words_of(child)
        return
    for parameter in command.parameters:
        yield "option", parameter.name
        yield None, str(parameter.description)
        yield from ((None, choice.name) for choice in parameter.choices)
