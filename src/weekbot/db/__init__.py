"""Database connections, backends, tables, migrations and errors."""
