"""Reads, checks, lints and reloads the content folder."""
