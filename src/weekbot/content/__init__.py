"""Topics and tracks: read from files, checked as a whole, looked up by name."""

from typing import Final

EVERYTHING: Final = "everything"  # the slug of the track of all topics
