"""Backup, export and import, and the copy to PostgreSQL."""
