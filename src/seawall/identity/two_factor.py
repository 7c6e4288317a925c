"""Turning the second factor on and off, and checking a code, each of which is good once."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.crypto import Place
from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError, SecondFactorNeededError
from seawall.identity.schemas import UserRecord
from seawall.identity.store import users
from seawall.identity.tables import User
from seawall.identity.totp import (
    STEP_SECONDS,
    hash_recovery_code,
    matching_step,
    new_recovery_codes,
    new_secret,
    provisioning_uri,
)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is told, once."""

    secret: SecretStr
    uri: SecretStr


def _place(user_id: UUID) -> Place:
    return Place("users", "two_factor_secret", user_id, user_id)


async def begin(desk: Desk, session: AsyncSession, user_id: UUID) -> Enrolment:
    """Make a secret for the bound user, which is in use once a code of it was confirmed.

    Raises:
        ConflictError: a second factor is in use.
    """
    user = await users.find_user(session)
    if user is None:
        raise NotFoundError("There is no such user.")
    if user.two_factor_enabled:
        raise _is_on()
    secret = new_secret()
    sealed = await desk.vault.seal(session, secret, _place(user_id))
    # It may have been turned on meanwhile, with the secret of before.
    is_off = User.two_factor_enabled.is_(False)
    if not await users.change_user(session, is_off, two_factor_secret=sealed, two_factor_step=None):
        raise _is_on()
    return Enrolment(secret, provisioning_uri(secret, user.email or user.username))


def _is_on() -> ConflictError:
    return ConflictError(
        "The second factor is on already.", hint="Turn it off first, to use another device."
    )


async def confirm(desk: Desk, session: AsyncSession, user_id: UUID, code: str) -> list[SecretStr]:
    """Turn the second factor on with a code of it; return the recovery codes, told once.

    Raises:
        ConflictError: nothing was begun, or it is on.
        InvalidError: the code is not one of now.
    """
    user = await users.find_user(session)
    if user is None or user.two_factor_enabled or await users.two_factor_secret(session) is None:
        raise ConflictError("There is no second factor to confirm.", hint="Begin with a new one.")
    if not await _use_code(desk, session, user_id, code):
        raise InvalidError(
            "This code is not the one of now.",
            hint=f"Each is good for {STEP_SECONDS} seconds: see that the device's clock is right.",
        )
    codes = new_recovery_codes()
    hashes = [hash_recovery_code(each.get_secret_value()) for each in codes]
    await users.change_user(session, two_factor_enabled=True, recovery_codes=hashes)
    return codes


async def renew_codes(session: AsyncSession) -> list[SecretStr]:
    """Give the bound user, whose second factor is on, other recovery codes, told once.

    Raises:
        ConflictError: it is off.
    """
    codes = new_recovery_codes()
    hashes = [hash_recovery_code(each.get_secret_value()) for each in codes]
    if not await users.change_user(session, User.two_factor_enabled, recovery_codes=hashes):
        raise ConflictError("The second factor is off.", hint="Turn it on first.")
    return codes


async def require_code(
    desk: Desk, session: AsyncSession, user: UserRecord, code: str | None
) -> None:
    """Use up a code, or a recovery code, of the bound user where their second factor is on.

    Whoever asks counts the guess.

    Raises:
        SecondFactorNeededError: it is on, and there is no code.
        NotAuthenticatedError: the code is wrong.
    """
    if not user.two_factor_enabled:
        return
    if not code:
        raise SecondFactorNeededError("A code of your second factor is needed too.")
    if not await check(desk, session, user.id, code):
        raise NotAuthenticatedError(
            "The code is wrong, or was used before.", hint="Wait for the next one."
        )


async def check(desk: Desk, session: AsyncSession, user_id: UUID, code: str) -> bool:
    """Use up a code, or a recovery code, of the bound user, whose second factor is on."""
    if await _use_code(desk, session, user_id, code):
        return True
    return await users.use_recovery_code(session, hash_recovery_code(code))


async def _use_code(desk: Desk, session: AsyncSession, user_id: UUID, code: str) -> bool:
    sealed = await users.two_factor_secret(session)
    if sealed is None:
        return False
    step = matching_step(desk.vault.open(sealed, _place(user_id)), code, desk.clock())
    # The database says yes once, to however many bring the same code at the same time.
    return step is not None and await users.use_step(session, step)


async def turn_off(session: AsyncSession) -> None:
    """Turn the bound user's second factor off, and forget its secret and recovery codes."""
    await users.change_user(
        session,
        User.two_factor_secret.is_not(None),
        two_factor_enabled=False,
        two_factor_secret=None,
        two_factor_step=None,
        recovery_codes=[],
    )
