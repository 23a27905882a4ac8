"""Slash commands: thin; each file holds one group."""
