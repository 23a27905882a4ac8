"""Translates the names and descriptions of commands, options and choices."""

from collections.abc import Iterator

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Location
from discord.app_commands import TranslationContextTypes, locale_str

from weekbot.bot.commands import Command
from weekbot.i18n.language import Context, language_of

_NAMES: dict[Location, Context] = {
    Location.command_name: "command",
    Location.group_name: "command",
    Location.parameter_name: "option",
}


class CommandTranslator(app_commands.Translator):
    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        """Return None if the translation equals the English text, which is Discord's default."""
        tr, message = language_of(locale.value), string.message
        kind = _NAMES.get(context.location)
        translation = tr.word(kind, message) if kind else tr(message)
        return translation if translation != message else None


def words_of(command: Command) -> Iterator[tuple[Context | None, str]]:
    """Yield the command's texts for translation: a name with its context, or a sentence with None."""
    yield "command", command.name
    yield None, command.description
    if isinstance(command, app_commands.Group):
        for child in command.commands:
            yield from words_of(child)
    else:
        for parameter in command.parameters:
            yield "option", parameter.name
            yield None, str(parameter.description)
            yield from ((None, choice.name) for choice in parameter.choices)
