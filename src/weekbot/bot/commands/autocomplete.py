"""Suggestions for options that name a topic or a track."""

from discord import app_commands

from weekbot.content.library import Library
from weekbot.content.model import translated
from weekbot.i18n.language import Language


def topic_choices(tr: Language, library: Library, typed: str) -> list[app_commands.Choice[str]]:
    topics = library.suggest(typed)
    return [app_commands.Choice(name=translated(topic, tr.locale).title, value=topic.slug) for topic in topics]


def track_choices(tr: Language, library: Library, typed: str) -> list[app_commands.Choice[str]]:
    wanted = typed.casefold()
    found = [track for track in library.tracks.values() if wanted in track.title.casefold() or wanted in track.slug]
    counts = [tr.plural("{count} topic", "{count} topics", len(track.topics)) for track in found]
    named = zip(found, counts, strict=True)
    return [app_commands.Choice(name=f"{track.title} ({count})", value=track.slug) for track, count in named][:25]
