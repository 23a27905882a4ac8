"""The command line; each file has one group of commands.

Commands import what they need when they run, because every command loads these files.
"""
