"""The bot's interface in Discord: cards, commands and buttons."""
