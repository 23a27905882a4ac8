"""The examples of topics, tried against the real packages."""
