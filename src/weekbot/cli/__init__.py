"""The command line: thin; each file holds one group of commands."""
