"""API keys: made with scopes and an end, shown once, found by their hash, and revoked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.core.time import iso
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.desk import Desk
from seawall.identity.schemas import ApiKeyRecord, FoundKey, Scope
from seawall.identity.store import api_keys as store
from seawall.identity.tokens import KEY_PREFIX, hash_token, new_api_key

LONGEST_NAME = 100
MOST_KEYS = 50


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made; the key itself is told once."""

    record: ApiKeyRecord
    key: SecretStr = field(repr=False)


async def create(
    session: AsyncSession,
    name: str,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
    moment: datetime,
) -> MadeKey:
    """Make a key of the bound user, good until `expires_at` or until it is revoked.

    Raises:
        InvalidError: it has no name, no scope, or is over already.
        ConflictError: the user has a key of this name, or very many.
    """
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or "\x00" in name:
        raise InvalidError(f"The name of a key has 1 to {LONGEST_NAME} characters.")
    if not scopes:
        raise InvalidError(f"A key needs a scope: {', '.join(Scope)}.")
    if expires_at is not None and expires_at <= moment:
        raise InvalidError(f"The key would be over already, at {iso(expires_at)}.")
    held = await store.list_keys(session)
    if len(held) >= MOST_KEYS:
        raise ConflictError(f"There are {MOST_KEYS} keys already.", hint="Revoke one first.")
    if any(each.name.lower() == name.lower() for each in held):
        raise ConflictError(f"There is a key {name!r} already.", hint="Revoke it first.")
    key, prefix = new_api_key()
    record = await store.add_key(session, name, prefix, hash_token(key), scopes, expires_at)
    return MadeKey(record, key)


async def find(desk: Desk, key: SecretStr) -> FoundKey | None:
    """Return whose key it is, if it is good now."""
    if not key.get_secret_value().startswith(KEY_PREFIX):
        return None
    async with unbound_transaction(desk.engine) as session:
        return await store.find_key(session, hash_token(key))


async def note_use(desk: Desk, key: FoundKey) -> None:
    """Note that a key is used."""
    async with transaction(desk.engine, key.user_id) as session:
        await store.note_use(session, key.id)


async def list_keys(session: AsyncSession) -> Sequence[ApiKeyRecord]:
    """Return the bound user's keys that are not revoked."""
    return await store.list_keys(session)


async def revoke(session: AsyncSession, id_: UUID) -> None:
    """Revoke a key of the bound user.

    Raises:
        NotFoundError: there is none, or it was revoked.
    """
    if not await store.revoke_key(session, id_):
        raise NotFoundError("There is no such key.")
