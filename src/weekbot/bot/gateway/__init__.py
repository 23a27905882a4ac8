"""The client, its commands and its event handlers."""
