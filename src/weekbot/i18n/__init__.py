"""The bot's languages and their catalogues."""
