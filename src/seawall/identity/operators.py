"""What whoever runs an installation does to users: make, list, close and open accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, ForbiddenError, NotFoundError
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.accounts import new_name, require_email, require_name, send_reset
from seawall.identity.desk import Desk
from seawall.identity.leaving import Left, leave, list_left, restore_left
from seawall.identity.login import find
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.passwords import require_strong
from seawall.identity.schemas import Client, LeftRecord, LoginRecord, UserRecord, UserStatus
from seawall.identity.sessions import log_out_everywhere
from seawall.identity.store import users


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user that an operator makes; without a password they are invited to choose one.

    The installation's owner is there already, and so gets an address and a password.
    """

    email: str
    username: str | None = None
    password: SecretStr | None = None
    is_owner: bool = False


async def create_user(desk: Desk, new: NewUser) -> UserRecord:
    """Make a user as an operator, who vouches for the address; without a password, invite them.

    Raises:
        ConflictError: the address or the name is taken.
        InvalidError: it is no address, or not a password to be had.
    """
    email = require_email(new.email)
    hashed = None
    if new.password is not None:
        require_strong(new.password, email, new.username)
        hashed = await desk.passwords.hash(new.password)
    if await find(desk, email) is not None:
        raise ConflictError(f"There is a user with the address {email} already.")
    values: dict[str, Any] = {"email": email, "email_verified": True}
    if hashed is not None:
        values["password_hash"] = hashed
    made = OWNER_ID if new.is_owner else uuid4()
    async with transaction(desk.engine, made) as session:
        if new.is_owner:
            await ensure_owner(session)
            await users.change_user(session, **values)
        else:
            name = require_name(new.username) if new.username else new_name()
            await users.add_user(session, id=made, username=name, **values)
        if hashed is None:
            await send_reset(desk, session, made, invite=True)
        found = await users.find_user(session)
        assert found is not None  # noqa: S101 - it was just made
    return found


async def list_users(worker: AsyncEngine) -> Sequence[UserRecord]:
    """Return every living user, the first made first; the engine acts as a worker."""
    async with unbound_transaction(worker) as session:
        ids = await users.list_users(session)
    found = []
    for id_ in ids:
        async with transaction(worker, id_) as session:
            user = await users.find_user(session)
        if user is not None:
            found.append(user)
    return sorted(found, key=lambda user: (user.created_at, user.id))


async def list_tenants(worker: AsyncEngine) -> Sequence[UUID]:
    """Return every user, deleted ones too; the engine acts as a worker."""
    async with unbound_transaction(worker) as session:
        return await users.list_tenants(session)


async def get_user(desk: Desk, email: str) -> LoginRecord:
    """Return the user of an address.

    Raises:
        NotFoundError: nobody has it.
    """
    found = await find(desk, email.strip())
    if found is None:
        raise NotFoundError(
            f"There is no user with the address {email!r}.", hint="See `seawall user list`."
        )
    return found


async def set_status(desk: Desk, email: str, status: UserStatus) -> None:
    """Close an account, which ends its sessions, or open it again.

    Raises:
        NotFoundError: nobody has the address.
    """
    user = await get_user(desk, email)
    async with transaction(desk.engine, user.id) as session:
        await users.change_user(session, status=status)
        if status is not UserStatus.ACTIVE:
            await log_out_everywhere(session, Client())


async def set_tier(worker: AsyncEngine, user_id: UUID, tier: str) -> None:
    """Say what a user may use; the engine acts as a worker, since the application may not."""
    async with transaction(worker, user_id) as session:
        await users.change_user(session, tier=tier)


async def delete_user(desk: Desk, email: str) -> Left:
    """Delete an account, as its user could.

    Raises:
        NotFoundError: nobody has the address.
        ForbiddenError: it is the owner's.
    """
    found = await get_user(desk, email)
    if found.id == OWNER_ID:
        raise ForbiddenError("The owner of an installation cannot be deleted.")
    async with transaction(desk.engine, found.id) as session:
        user = await users.find_user(session)
        assert user is not None  # noqa: S101 - it was just found
        return await leave(desk, session, user, Client())


async def restore_user(desk: Desk, worker: AsyncEngine, wanted: str) -> LeftRecord:
    """Restore the deleted account of an address or a name; of several the one deleted last.

    Raises:
        NotFoundError: there is none.
        ConflictError: somebody else has the address now.
    """
    named = wanted.strip().lower()
    found = [
        each
        for each in await list_left(worker)
        if named in {(each.email or "").lower(), each.username.lower()}
    ]
    if not found:
        raise NotFoundError(f"No deleted account is {wanted!r}.")
    await restore_left(desk, found[-1])
    return found[-1]


async def log_out_user(desk: Desk, email: str) -> int:
    """End all sessions of a user; return how many there were.

    Raises:
        NotFoundError: nobody has the address.
    """
    user = await get_user(desk, email)
    async with transaction(desk.engine, user.id) as session:
        return await log_out_everywhere(session, Client())


async def mail_reset(desk: Desk, email: str) -> None:
    """Send a user a link with which to choose a new password.

    Raises:
        NotFoundError: nobody has the address.
    """
    user = await get_user(desk, email)
    async with transaction(desk.engine, user.id) as session:
        await send_reset(desk, session, user.id)
