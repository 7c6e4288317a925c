"""Leaving: an account is deleted softly, can be restored for 30 days, and is then purged.

Neither whoever reads the mails nor whoever knows the password can bring an account back alone: it
takes the mail's token and the password, as confirming an address does.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import ColumnExpressionArgument
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError, NotFoundError
from seawall.core.time import iso
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import letters, two_factor
from seawall.identity.accounts import find_token, no_link, prove
from seawall.identity.attempts import account_of, count_guess
from seawall.identity.billing import states
from seawall.identity.billing.pages import CLOSE
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.mail import post
from seawall.identity.owner import OWNER_ID
from seawall.identity.schemas import Client, LeftRecord, Purpose, UserRecord
from seawall.identity.sessions import log_out_everywhere
from seawall.identity.store import api_keys, billing, tokens, users
from seawall.identity.tables import User
from seawall.identity.tokens import hash_token, new_token
from seawall.jobs.defer import defer

KEPT_FOR = timedelta(days=30)
"""The database knows it too: no door purges who left less long ago."""


@dataclass(frozen=True, slots=True)
class Left:
    """When an account was deleted, and from when on it is gone for good."""

    deleted_at: datetime
    purged_after: datetime


async def delete_account(
    desk: Desk, user: UserRecord, password: SecretStr, code: str | None, client: Client
) -> Left:
    """Delete the account of a user who is here, and mail them how to have it back.

    Raises:
        NotAuthenticatedError: the password or the code is wrong.
        SecondFactorNeededError: a code is needed too.
        ForbiddenError: the user runs the installation.
        ConflictError: a subscription would go on to be paid for.
    """
    if user.id == OWNER_ID or user.is_superuser:
        raise ForbiddenError(
            "This account runs the installation, and cannot be deleted from within.",
            hint="Another one can be deleted with `seawall user delete`; the owner stays.",
        )
    await prove(desk, user, password)
    async with transaction(desk.engine, user.id) as session:
        await two_factor.require_code(desk, session, user, code)
        return await leave(desk, session, user, client)


async def leave(desk: Desk, session: AsyncSession, user: UserRecord, client: Client) -> Left:
    """Delete the bound user's account: sessions and keys end, and a mail says how to come back.

    Raises:
        NotFoundError: it is deleted already.
        ConflictError: a subscription would go on to be paid for, also one that gives no tier.
    """
    if desk.settings.billing.enabled:
        paid = states.going_on(await billing.read_held(session))
        if paid:
            raise ConflictError(
                f"{', '.join(paid)} would go on to be paid for.",
                hint="Cancel first, at POST /api/v1/billing/portal; what is not shown there only"
                " whoever runs this installation can cancel, at Stripe.",
            )
        # A page that was opened before could else still be paid on.
        await defer(session, CLOSE, key=str(user.id), user=user.id)
    await tokens.void_tokens(session, *Purpose)
    await api_keys.revoke_all(session)
    await log_out_everywhere(session, client)
    if user.email is not None:
        await _send_way_back(desk, session, user.id, user.email)
    deleted_at = await users.delete_user(session)
    if deleted_at is None:
        raise NotFoundError("There is no such user.")
    return Left(deleted_at, deleted_at + KEPT_FOR)


async def _send_way_back(desk: Desk, session: AsyncSession, user_id: UUID, email: str) -> None:
    token = new_token()
    await tokens.add_token(session, Purpose.ACCOUNT_RESTORE, email, hash_token(token), KEPT_FOR)
    until = iso(desk.clock() + KEPT_FOR)
    base = desk.settings.api.public_url
    await post(desk, session, user_id, letters.account_deleted(email, base, token, until))


async def restore_account(desk: Desk, token: SecretStr, password: SecretStr) -> None:
    """Restore an account with the token of the mail and its password.

    Raises:
        NotFoundError: the token is good no more, or the account was purged.
        NotAuthenticatedError: the password is another.
        ConflictError: somebody else has the address now.
        TooManyRequestsError: there were too many attempts.
    """
    found = await find_token(desk, Purpose.ACCOUNT_RESTORE, token)
    # Counted apart from logins: the address may be somebody else's by now.
    await count_guess(desk, account_of(found.email), "restoring")
    async with transaction(desk.engine, found.user_id) as session:
        known = await users.password_hash(session)
    checked = await desk.passwords.check(password, known)
    if not checked.is_right:
        raise NotAuthenticatedError("The password is wrong.")
    async with _coming_back(desk.engine, found.user_id) as session:
        if not await tokens.use_token(session, found.id):
            raise no_link()
        await _come_back(desk, session, User.password_hash == known)


async def restore_left(desk: Desk, left: LeftRecord) -> None:
    """Restore an account as an operator.

    Raises:
        NotFoundError: it is not deleted, or was purged.
        ConflictError: somebody else has the address now.
    """
    async with _coming_back(desk.engine, left.id) as session:
        await _come_back(desk, session)


@asynccontextmanager
async def _coming_back(engine: AsyncEngine, user_id: UUID) -> AsyncIterator[AsyncSession]:
    try:
        async with transaction(engine, user_id) as session:
            yield session
    except ConflictError:
        raise ConflictError(
            "Another account has this address by now.", hint="Ask whoever runs this installation."
        ) from None


async def _come_back(
    desk: Desk, session: AsyncSession, *conditions: ColumnExpressionArgument[bool]
) -> None:
    left = await users.find_deleted(session)
    if left is None or not await users.restore_user(session, *conditions):
        raise NotFoundError("There is no such user.")
    await tokens.void_tokens(session, *Purpose)
    if left.email is not None:
        await post(desk, session, left.id, letters.account_restored(left.email))


async def list_left(worker: AsyncEngine) -> Sequence[LeftRecord]:
    """Return who is deleted and not yet purged, the first who left first."""
    async with unbound_transaction(worker) as session:
        ids = await users.list_tenants(session)
    found = []
    for id_ in ids:
        async with transaction(worker, id_) as session:
            left = await users.find_deleted(session)
        if left is not None:
            found.append(left)
    return sorted(found, key=lambda each: (each.deleted_at, each.id))


async def purge_due(worker: AsyncEngine) -> int:
    """Remove everybody who was deleted 30 days ago, each in one transaction; return how many.

    Whatever interrupts it, each of them is there as before, or gone with everything.
    """
    async with unbound_transaction(worker) as session:
        due = await users.list_users_to_purge(session)
    purged = 0
    for id_ in due:
        async with unbound_transaction(worker) as session:
            purged += await users.purge_user(session, id_)
    return purged
