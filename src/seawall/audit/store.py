"""The SQL of the audit log, as the database's owner runs it: entries of every user."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Text, Uuid, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from seawall.audit.schemas import Chain, Entry, Head, Point, Question
from seawall.audit.tables import AuditLog
from seawall.core.errors import UnavailableError
from seawall.db.faults import translated

_ATTEMPTS = 100

# Computed here, from built-in functions: a function that is stored in the database could have been
# replaced by whoever replaced an entry.
_EDITED = text("""
    WITH edited AS MATERIALIZED (
        SELECT user_id, sequence FROM audit_logs
        WHERE hash IS DISTINCT FROM sha256(convert_to(json_build_array(
            id, user_id, sequence, time AT TIME ZONE 'UTC', table_name, operation, record_id,
            old_data::text, new_data::text, actor_id, actor_role, encode(previous_hash, 'hex')
        )::text, 'UTF8'))
    )
    SELECT user_id, sequence, count(*) OVER () AS found FROM edited LIMIT :limit
""")

_UNLINKED = text("""
    SELECT user_id, sequence, last_sequence, count(*) OVER () AS found FROM (
        SELECT user_id, sequence, coalesce(lag(sequence) OVER chain, 0) AS last_sequence,
            previous_hash IS NOT DISTINCT FROM lag(hash) OVER chain AS follows
        FROM audit_logs WINDOW chain AS (PARTITION BY user_id ORDER BY sequence)
    ) AS linked
    WHERE NOT follows OR sequence IS DISTINCT FROM last_sequence + 1
    LIMIT :limit
""")

# From chain to chain by the index, without a look at the entries between.
_HEADS = text("""
    WITH RECURSIVE chain (user_id) AS (
        (SELECT user_id FROM audit_logs WHERE user_id IS NOT NULL ORDER BY user_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT later.user_id FROM audit_logs AS later
            WHERE later.user_id > chain.user_id ORDER BY later.user_id LIMIT 1
        ) FROM chain WHERE chain.user_id IS NOT NULL
    )
    SELECT chain.user_id, head.sequence, head.hash FROM chain CROSS JOIN LATERAL (
        SELECT sequence, hash FROM audit_logs
        WHERE audit_logs.user_id = chain.user_id AND sequence IS NOT NULL
        ORDER BY sequence DESC LIMIT 1
    ) AS head
    UNION ALL
    (SELECT user_id, sequence, hash FROM audit_logs
    WHERE user_id IS NULL AND sequence IS NOT NULL ORDER BY sequence DESC LIMIT 1)
""")

_AT_POINTS = text("""
    SELECT user_id, sequence, hash FROM audit_logs
    JOIN unnest(:chains, :sequences) AS point (chain, number)
        ON user_id = chain AND sequence = number
    UNION ALL
    SELECT user_id, sequence, hash FROM audit_logs
    JOIN unnest(:chains, :sequences) AS point (chain, number)
        ON chain IS NULL AND user_id IS NULL AND sequence = number
""").bindparams(
    bindparam("chains", type_=ARRAY(Uuid())), bindparam("sequences", type_=ARRAY(BigInteger()))
)

_PURGED = text("""
    SELECT CAST(record_id AS uuid) AS chain, CAST(new_data ->> 'sequence' AS bigint) AS sequence,
        decode(new_data ->> 'hash', 'hex') AS hash
    FROM audit_logs WHERE user_id IS NULL AND table_name = 'audit_logs' AND operation = 'EXPIRE'
""")

_ANCHOR = text("""
    SELECT time, new_data ->> 'line' AS line FROM audit_logs
    WHERE user_id IS NULL AND operation = 'ANCHOR'
        AND (CAST(:file AS text) IS NULL OR new_data ->> 'file' = :file)
    ORDER BY sequence DESC LIMIT 1
""")

_TRIGGERS = text("""
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger
    JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE pronamespace = 'public'::regnamespace
        AND proname IN ('audit_row', 'link_audit_log', 'refuse_statement') AND tgenabled <> 'O'
    UNION ALL
    SELECT 'audit_logs', name FROM unnest(ARRAY['link_audit_logs', 'keep_audit_logs']) AS name
    WHERE NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'public.audit_logs'::regclass AND tgname = name
    )
    ORDER BY 1, 2
""")


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open one transaction that sees the log as it is now, and changes nothing."""
    frozen = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with translated():
        async with frozen.begin() as connection:
            # Hashing is work for every core, and next to no row goes from one to another.
            await connection.execute(text("SET LOCAL parallel_tuple_cost = 0"))
            yield connection


async def count_entries(connection: AsyncConnection) -> int:
    """Return how many entries there are."""
    return int(await connection.scalar(select(func.count()).select_from(AuditLog)) or 0)


async def find_edited(
    connection: AsyncConnection, limit: int
) -> tuple[list[tuple[Chain, int | None]], int]:
    """Recompute every hash; return entries that do not fit theirs, and how many there are."""
    rows = (await connection.execute(_EDITED, {"limit": limit})).all()
    return [(row.user_id, row.sequence) for row in rows], rows[0].found if rows else 0


async def find_unlinked(
    connection: AsyncConnection, limit: int
) -> tuple[list[tuple[Chain, int | None, int]], int]:
    """Return entries that do not follow from the one before, and how many there are.

    Each with the sequence of the one before it, 0 when there is none.
    """
    rows = (await connection.execute(_UNLINKED, {"limit": limit})).all()
    found = [(row.user_id, row.sequence, row.last_sequence) for row in rows]
    return found, rows[0].found if rows else 0


async def read_heads(connection: AsyncConnection) -> dict[Chain, Head]:
    """Return the last entry of every chain."""
    rows = await connection.execute(_HEADS)
    return {chain: Head(sequence, hash_) for chain, sequence, hash_ in rows}


async def read_hashes(
    connection: AsyncConnection, points: Iterable[Point]
) -> dict[tuple[Chain, int], bytes]:
    """Return the hashes of the entries at these points, as far as there are any."""
    places = [(point.chain, point.sequence) for point in points]
    rows = await connection.execute(
        _AT_POINTS,
        {
            "chains": [chain for chain, _ in places],
            "sequences": [sequence for _, sequence in places],
        },
    )
    return {(chain, sequence): hash_ for chain, sequence, hash_ in rows}


async def read_purged(connection: AsyncConnection) -> dict[Chain, Head]:
    """Return where the chains ended that went with a purged user, as the system's chain tells."""
    rows = await connection.execute(_PURGED)
    return {chain: Head(sequence, hash_) for chain, sequence, hash_ in rows}


async def read_identity(connection: AsyncConnection) -> bytes | None:
    """Return the hash of the log's very first entry, which no other log has."""
    query = select(AuditLog.hash).where(AuditLog.user_id.is_(None), AuditLog.sequence == 1)
    found: bytes | None = await connection.scalar(query)
    return found


async def find_anchor(connection: AsyncConnection, file: str | None) -> tuple[datetime, str] | None:
    """Return when the log was last anchored in a file, or in any, and the anchor's hash."""
    row = (await connection.execute(_ANCHOR, {"file": file})).one_or_none()
    return None if row is None else (row.time, row.line)


async def log_anchor(connection: AsyncConnection, file: str, line: str) -> None:
    """Log that the log was anchored.

    Raises:
        UnavailableError: others write to the system's chain all the time.
    """
    values = {
        "user_id": None,
        "table_name": "audit_logs",
        "operation": "ANCHOR",
        "new_data": {"file": file, "line": line},
    }
    for _ in range(_ATTEMPTS):
        # Whoever is writing to the chain is waited for; then there is a conflict, and another end.
        done = await connection.execute(insert(AuditLog).values(values).on_conflict_do_nothing())
        if done.rowcount:
            return
    raise UnavailableError("The audit log was too busy to note its anchor.", hint="Try again.")


async def list_broken_triggers(connection: AsyncConnection) -> Sequence[tuple[str, str]]:
    """Return the triggers of the log that do not fire, each with its table."""
    return [(table, name) for table, name in await connection.execute(_TRIGGERS)]


async def list_entries(connection: AsyncConnection, question: Question) -> list[Entry]:
    """Return the latest entries, newest first."""
    # Found by narrow rows: the data of all that are sorted would be read for nothing.
    newest_first = AuditLog.time.desc(), AuditLog.sequence.desc(), AuditLog.id
    latest = select(AuditLog.id).order_by(*newest_first).limit(question.limit)
    if question.table is not None:
        latest = latest.where(AuditLog.table_name == question.table)
    if question.record is not None:
        latest = latest.where(AuditLog.record_id == question.record)
    if question.since is not None:
        latest = latest.where(AuditLog.time >= question.since)
    query = select(
        AuditLog.time,
        AuditLog.user_id,
        AuditLog.sequence,
        AuditLog.table_name,
        AuditLog.operation,
        AuditLog.record_id,
        AuditLog.old_data.cast(Text).label("old_data"),
        AuditLog.new_data.cast(Text).label("new_data"),
        AuditLog.actor_id,
        AuditLog.actor_role,
    ).where(AuditLog.id.in_(latest))
    rows = await connection.execute(query.order_by(*newest_first))
    return [
        Entry(
            time=row.time,
            user_id=row.user_id,
            sequence=row.sequence,
            table_name=row.table_name,
            operation=row.operation,
            record_id=row.record_id,
            old_data=_data(row.old_data),
            new_data=_data(row.new_data),
            actor_id=row.actor_id,
            actor_role=row.actor_role,
        )
        for row in rows
    ]


def _data(written: str | None) -> dict[str, Any] | None:
    """Read data with all the digits of its numbers."""
    return None if written is None else json.loads(written, parse_float=Decimal)
