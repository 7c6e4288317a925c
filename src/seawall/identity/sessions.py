"""Sessions: opened by a login, refreshed by a token that is good once, listed, and revoked.

Each login begins a family. A refresh adds a session to it and marks the one before as rotated and
replaced; a refresh token that comes a second time was stolen from one of the two who have it, and
since nobody can tell which, the family is revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.schemas import Client, OpenedSession, SessionRecord
from seawall.identity.store import journal, users
from seawall.identity.store import sessions as store
from seawall.identity.tokens import hash_token, new_token

BROWSER_LIFETIME = timedelta(days=14)
ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Begun:
    id: UUID
    opened: OpenedSession


async def begin(
    session: AsyncSession, user_id: UUID, client: Client, *, refreshable: bool
) -> OpenedSession:
    """Open a session of the bound user: for programs with a refresh token, for browsers without."""
    return (await _begin(session, user_id, client, None, refreshable=refreshable)).opened


async def _begin(
    session: AsyncSession,
    user_id: UUID,
    client: Client,
    family_id: UUID | None,
    *,
    refreshable: bool,
) -> _Begun:
    token = new_token()
    refresh = new_token() if refreshable else None
    added = await store.add_session(
        session,
        store.NewSession(
            token_hash=hash_token(token),
            lifetime=ACCESS_LIFETIME if refreshable else BROWSER_LIFETIME,
            client=client,
            refresh_token_hash=None if refresh is None else hash_token(refresh),
            refresh_lifetime=None if refresh is None else REFRESH_LIFETIME,
            family_id=family_id,
        ),
    )
    opened = OpenedSession(
        user_id, added.family_id, token, added.expires_at, refresh, added.refresh_expires_at
    )
    return _Begun(added.id, opened)


async def refresh(desk: Desk, token: SecretStr, client: Client) -> OpenedSession:
    """Use up a refresh token, and go on with a new session of its family.

    Raises:
        NotAuthenticatedError: it is none that is good now. When it was used before, its family is
            revoked.
    """
    async with unbound_transaction(desk.engine) as session:
        found = await store.find_refresh_token(session, hash_token(token))
    if found is None:
        raise _refusal()
    async with transaction(desk.engine, found.user_id) as session:
        before = await store.rotate(session, found.id)
        if before is not None:
            now = Client(client.ip, client.user_agent, client.device_name or before.device_name)
            begun = await _begin(session, found.user_id, now, found.family_id, refreshable=True)
            await store.replace(session, found.id, begun.id)
            return begun.opened
        if await store.revoke(session, found.family_id):
            await journal.note(session, "LOGIN_FAILED", client, reason="refresh token used twice")
    raise _refusal()


def _refusal() -> NotAuthenticatedError:
    return NotAuthenticatedError("This session is over.", hint="Log in again.")


async def find(desk: Desk, token: SecretStr) -> store.LiveSession | None:
    """Return the living session that a session's token leads to."""
    async with unbound_transaction(desk.engine) as session:
        return await store.find_session(session, hash_token(token))


async def is_revoked(desk: Desk, user_id: UUID, token: SecretStr) -> bool:
    """Tell whether a user's session was ended, and not only refreshed or over by its time."""
    async with transaction(desk.engine, user_id) as session:
        return await store.is_revoked(session, hash_token(token))


async def find_tier(desk: Desk, user_id: UUID) -> str:
    """Return what a user has paid for."""
    async with transaction(desk.engine, user_id) as session:
        return await users.find_tier(session)


async def note_access(desk: Desk, user_id: UUID, id_: UUID) -> None:
    """Note that a session is used."""
    async with transaction(desk.engine, user_id) as session:
        await store.touch(session, id_)


async def list_sessions(session: AsyncSession) -> Sequence[SessionRecord]:
    """Return the bound user's living sessions."""
    return await store.list_sessions(session)


async def log_out(session: AsyncSession, family_id: UUID, client: Client) -> None:
    """End the bound user's session of a family.

    Raises:
        NotFoundError: it has ended already, or there was none.
    """
    if not await store.revoke(session, family_id):
        raise NotFoundError("There is no such session.")
    await journal.note(session, "LOGOUT", client)


async def log_out_everywhere(
    session: AsyncSession, client: Client, *, but: UUID | None = None
) -> int:
    """End all sessions of the bound user, or all but one; return how many ended."""
    ended = await store.revoke(session, but=but)
    await journal.note(session, "LOGOUT", client, everywhere=True)
    return ended
