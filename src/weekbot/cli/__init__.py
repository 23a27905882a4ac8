"""The command line; each file has one group of commands."""
