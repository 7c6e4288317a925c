"""The SQL of requests that are to happen once: noted in the transaction of their effect."""

from dataclasses import dataclass
from uuid import UUID

from seawall.db.engine import TenantConnection

_CLAIM = """
INSERT INTO idempotency_keys AS kept (user_id, key, request_hash) VALUES ($1, $2, $3)
ON CONFLICT (user_id, key) DO UPDATE SET request_hash = excluded.request_hash, status_code = NULL,
    response = NULL, created_at = now(), expires_at = excluded.expires_at
WHERE kept.expires_at < now()
RETURNING key
"""
_KEEP = """
INSERT INTO idempotency_keys AS kept (user_id, key, request_hash, status_code, response)
VALUES ($1, $2, $3, $4, $5::text::jsonb)
ON CONFLICT (user_id, key) DO UPDATE SET request_hash = excluded.request_hash,
    status_code = excluded.status_code, response = excluded.response, created_at = now(),
    expires_at = excluded.expires_at
WHERE kept.expires_at < now()
RETURNING key
"""
_FIND = """
SELECT request_hash, status_code, response::text FROM idempotency_keys
WHERE user_id = $1 AND key = $2 AND expires_at >= now()
"""
_ANSWER = """
UPDATE idempotency_keys SET status_code = $3, response = $4::text::jsonb
WHERE user_id = $1 AND key = $2
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that happened: what it asked, as a hash, and how it was answered, as JSON."""

    request_hash: bytes
    status_code: int
    response: bytes


async def claim(
    connection: TenantConnection, user_id: UUID, key: str, request_hash: bytes
) -> Answered | None:
    """Claim a key for a user; return how it was answered when it happened before.

    Of two who claim it at once the second waits for the first one's transaction to end.
    """
    if await connection.fetchval(_CLAIM, user_id, key, request_hash) is not None:
        return None
    return await find(connection, user_id, key)


async def find(connection: TenantConnection, user_id: UUID, key: str) -> Answered | None:
    """Return how a request was answered; None when it did not happen."""
    row = await connection.fetchrow(_FIND, user_id, key)
    if row is None:
        return None
    return Answered(row["request_hash"], row["status_code"], row["response"].encode())


async def keep(connection: TenantConnection, user_id: UUID, key: str, answered: Answered) -> bool:
    """Keep a request that has happened; False when it had before.

    Of two who keep the same at once the second waits for the first one's transaction to end.
    """
    values = (answered.request_hash, answered.status_code, answered.response.decode())
    return await connection.fetchval(_KEEP, user_id, key, *values) is not None


async def answer(
    connection: TenantConnection, user_id: UUID, key: str, status_code: int, response: bytes
) -> None:
    """Keep the answer to a claimed request, written as JSON."""
    await connection.execute(_ANSWER, user_id, key, status_code, response.decode())
