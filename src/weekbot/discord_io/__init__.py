"""Discord without a user interface: sending, history, channels, permissions, errors, rate limits."""
