"""Topics and tracks: read from files, checked as a whole, looked up by name."""
