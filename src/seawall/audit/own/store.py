"""The SQL of one's own entries, as row security shows them to the bound user."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, Text, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.audit.own.schemas import EntryFilter, OwnChain
from seawall.audit.schemas import Entry
from seawall.audit.tables import AuditLog

# Computed here, as for `audit.store`: a stored function could have been replaced.
_BROKEN = text("""
    SELECT sequence, coalesce(sequence, 0) <> coalesce(last_sequence, 0) + 1
        OR previous_hash IS DISTINCT FROM last_hash AS unlinked
    FROM (
        SELECT *, lag(sequence) OVER chain AS last_sequence, lag(hash) OVER chain AS last_hash
        FROM audit_logs WINDOW chain AS (ORDER BY sequence)
    ) AS linked
    WHERE sequence IS DISTINCT FROM coalesce(last_sequence, 0) + 1
        OR previous_hash IS DISTINCT FROM last_hash
        OR hash IS DISTINCT FROM sha256(convert_to(json_build_array(
            id, user_id, sequence, time AT TIME ZONE 'UTC', table_name, operation, record_id,
            old_data::text, new_data::text, actor_id, actor_role, encode(previous_hash, 'hex')
        )::text, 'UTF8'))
    ORDER BY sequence LIMIT :limit
""")
_HEAD = text("SELECT count(*), max(sequence) FROM audit_logs")
_SHOWN = 100

_ENTRY = (
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
)


async def page_entries(
    session: AsyncSession, limit: int, before: int | None, wanted: EntryFilter
) -> list[Entry]:
    """Return the next entries of the bound user's chain, the newest first."""
    query = _chosen(select(*_ENTRY), wanted)
    if before is not None:
        query = query.where(AuditLog.sequence < before)
    rows = await session.execute(query.order_by(AuditLog.sequence.desc()).limit(limit))
    return [_entry(row) for row in rows]


async def count_entries(session: AsyncSession, wanted: EntryFilter) -> int:
    """Count the entries that are wanted."""
    query = _chosen(select(func.count()).select_from(AuditLog), wanted)
    return int(await session.scalar(query) or 0)


def _chosen(query: Select[*tuple[Any, ...]], wanted: EntryFilter) -> Select[*tuple[Any, ...]]:
    if wanted.table is not None:
        query = query.where(AuditLog.table_name == wanted.table)
    if wanted.operation is not None:
        query = query.where(AuditLog.operation == wanted.operation)
    if wanted.record is not None:
        query = query.where(AuditLog.record_id == wanted.record)
    if wanted.since is not None:
        query = query.where(AuditLog.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditLog.time < wanted.until)
    return query


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    time, user, sequence, table, operation, record, old, new, actor, role = row
    return Entry(
        time, user, sequence, table, operation, record, _data(old), _data(new), actor, role
    )


def _data(written: str | None) -> dict[str, Any] | None:
    """Read data with all the digits of its numbers."""
    return None if written is None else json.loads(written, parse_float=Decimal)


async def verify_chain(session: AsyncSession) -> OwnChain:
    """Recompute every hash of the bound user's chain, and follow it from its first entry on."""
    rows: Sequence[Any] = (await session.execute(_BROKEN, {"limit": _SHOWN})).all()
    entries, last = (await session.execute(_HEAD)).one()
    head = await session.scalar(select(AuditLog.hash).where(AuditLog.sequence == last))
    return OwnChain(
        entries=entries,
        last_sequence=last or 0,
        head=None if head is None else head.hex(),
        edited=tuple(row.sequence for row in rows if not row.unlinked),
        unlinked=tuple(row.sequence for row in rows if row.unlinked),
    )
