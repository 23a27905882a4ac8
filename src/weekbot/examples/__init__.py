"""Tests of topics' examples against the real packages."""
