"""Chaos tests: no post is missed or duplicated although real processes are killed, cut off and disconnected."""
