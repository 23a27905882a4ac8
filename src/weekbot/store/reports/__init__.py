"""Read-only reports about the stored data."""
