"""Write access to a PostgreSQL database: whether weekbot's user may write to all of its tables."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import metadata

STANDBY = (
    "The database is a standby, which can only be read; set WEEKBOT_DATABASE_URL to the primary, or name all hosts "
    "in it (postgresql://USER:PASSWORD@HOST1,HOST2/NAME)."
)
READ_ONLY = (
    "The database is read-only (default_transaction_read_only is on); switch that off for the server, the database "
    "or weekbot's user."
)
MAX_NAMED = 3
PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE"]


async def write_obstacle(connection: AsyncConnection) -> str | None:
    """Return a sentence on why this user can't write, with the remedy; None if it can.

    Tables that don't exist yet aren't checked.
    """
    state = (await connection.execute(_STATE)).one()
    if state.standby:
        return STANDBY
    if state.read_only:
        return READ_ONLY
    missing = (await connection.execute(_MISSING, {"tables": sorted(metadata.tables), "privileges": PRIVILEGES})).all()
    return _lacks_privileges(state, missing) if missing else None


def _lacks_privileges(state: Row[Any], missing: Sequence[Row[Any]]) -> str:
    named = ", ".join(f"{each.privilege} on {each.name}" for each in missing[:MAX_NAMED])
    more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    schema = f"IN SCHEMA {state.schema} TO {state.user}"
    return (
        f"The database user {state.user} lacks {named}{more}; run as the tables' owner: "
        f"GRANT {', '.join(PRIVILEGES)} ON ALL TABLES {schema}; GRANT USAGE ON ALL SEQUENCES {schema}."
    )


_STATE = text(
    "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::boolean AS read_only,"
    ' current_user AS "user", current_schema() AS schema'
)
_MISSING = text(
    "WITH found AS (SELECT name, to_regclass(name) AS id FROM unnest(CAST(:tables AS text[])) AS name)"
    " SELECT name, privilege FROM found, unnest(CAST(:privileges AS text[])) AS privilege"
    " WHERE NOT has_table_privilege(id, privilege)"
    " UNION ALL SELECT sequence, 'USAGE' FROM found, pg_get_serial_sequence(id::text, 'id') AS sequence"
    " WHERE name = 'subscriptions' AND NOT has_sequence_privilege(sequence, 'USAGE')"
)
