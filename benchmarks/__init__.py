"""Benchmarks of weekbot with the loopback Discord: `make bench`."""
