"""What autocomplete offers."""

from discord import app_commands

from weekbot.content.library import Library


def topic_choices(library: Library, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=topic.title, value=topic.slug) for topic in library.suggest(typed)]


def track_choices(library: Library, typed: str) -> list[app_commands.Choice[str]]:
    wanted = typed.casefold()
    return [
        app_commands.Choice(name=f"{track.title} ({len(track.topics)} topics)", value=track.slug)
        for track in library.tracks.values()
        if wanted in track.title.casefold() or wanted in track.slug
    ][:25]
