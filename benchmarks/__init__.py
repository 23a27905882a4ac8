"""How fast weekbot is, measured against a Discord on loopback: `make bench`."""
