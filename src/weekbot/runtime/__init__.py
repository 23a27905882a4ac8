"""Leaves that any package may import: clock, event loop, tasks, signals, log, errors."""
