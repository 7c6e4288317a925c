"""The upkeep of series: partitions made ahead, rollups brought up to date, old chunks compressed.

One procedure in the database does it. TimescaleDB's scheduler runs it every hour; elsewhere
`seawall db maintain` does, from whatever schedules commands.
"""

import json

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.faults import translated
from seawall.db.series import Series

_ANY_PROCEDURE = text("SELECT to_regproc('public.maintain_series') IS NOT NULL")
_ANY_EXTENSION = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')")


async def maintain(owner: AsyncEngine, series: Series | None = None) -> None:
    """Keep one series, or all; `owner` acts as the tables' owner.

    Each step is committed by itself, so what was interrupted goes on where it was.
    """
    config = {} if series is None else {"series": series.table}
    with translated():
        async with owner.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(
                text("CALL maintain_series(0, CAST(:config AS jsonb))"),
                {"config": json.dumps(config)},
            )


def schedule(connection: Connection) -> None:
    """Let TimescaleDB's scheduler keep each hypertable.

    A job runs as who adds it, and that has to be a role that may log in: so not the owner, but
    the one that migrates.
    """
    if connection.scalar(_ANY_EXTENSION) and connection.scalar(_ANY_PROCEDURE):
        connection.execute(
            text(
                "SELECT add_job('public.maintain_series', interval '1 hour',"
                " config => jsonb_build_object('series', table_name),"
                " job_name => 'seawall keeps ' || table_name)"
                " FROM series WHERE engine = 'timescaledb' AND NOT EXISTS ("
                "     SELECT FROM timescaledb_information.jobs"
                "     WHERE proc_name = 'maintain_series' AND config->>'series' = table_name)"
            )
        )
    connection.commit()


def unschedule(connection: Connection) -> None:
    """Take the jobs away, before what they call goes."""
    if connection.scalar(_ANY_EXTENSION):
        connection.execute(
            text(
                "SELECT delete_job(job_id) FROM timescaledb_information.jobs"
                " WHERE proc_name = 'maintain_series'"
            )
        )
