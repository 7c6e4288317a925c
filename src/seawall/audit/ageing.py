"""Logging what retention did: how many rows of each user left a table, or came back to it.

The rows themselves are not repeated: the log is kept for ever, and they are to be forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOG = text("""
    INSERT INTO audit_logs (user_id, table_name, operation, record_id, new_data)
    SELECT chain, :table, :operation, CAST(:record AS text),
        jsonb_build_object('month', CAST(:month AS text), 'rows', number)
    FROM unnest(:chains, :numbers) AS moved (chain, number)
    ON CONFLICT DO NOTHING RETURNING user_id
""").bindparams(
    bindparam("chains", type_=ARRAY(Uuid())), bindparam("numbers", type_=ARRAY(BigInteger()))
)


@dataclass(frozen=True, slots=True)
class Ageing:
    """Rows of a month that left their table, or came back to it, and the archive that has them."""

    operation: Literal["EXPIRE", "RESTORE"]
    table: str
    month: date
    archive: UUID | None = None


async def log_ageing(connection: AsyncConnection, ageing: Ageing, rows: Mapping[UUID, int]) -> None:
    """Log it in one entry of each user's chain, as the database's owner, who is bound to nobody."""
    left = dict(rows)
    while left:
        # Where another is writing to a chain, this waits, and then tries again after its entries.
        logged = await connection.scalars(
            _LOG,
            {
                "chains": list(left),
                "numbers": list(left.values()),
                "table": ageing.table,
                "operation": ageing.operation,
                "record": ageing.archive and str(ageing.archive),
                "month": f"{ageing.month:%Y-%m}",
            },
        )
        for chain in logged:
            del left[chain]
