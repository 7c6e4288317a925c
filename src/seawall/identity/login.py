"""Logging in: by password, and a code where the second factor is on."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ForbiddenError, SeawallError
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import devices, sessions, two_factor
from seawall.identity.attempts import STRANGER, account_of, count_guess
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError, SecondFactorNeededError
from seawall.identity.passwords import Checked
from seawall.identity.schemas import Client, LoginRecord, OpenedSession, UserStatus, is_email
from seawall.identity.store import journal, users
from seawall.identity.tables import User

DEVICE = "device"
"""What the signing secret is asked for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody brings who wants to be let in; programs want a refresh token."""

    email: str
    password: SecretStr
    client: Client
    code: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    refreshable: bool = True


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who was let in: the session, and what makes the device known from now on."""

    session: OpenedSession
    device: str = field(repr=False)


async def find(desk: Desk, email: str) -> LoginRecord | None:
    """Return the living user of an address; what is no address is nobody's."""
    if not is_email(email):
        return None
    async with unbound_transaction(desk.engine) as session:
        return await users.find_user_by_email(session, email)


async def check_password(
    desk: Desk,
    email: str,
    password: SecretStr,
    device: str | None = None,
    *,
    apart: Literal["here", "confirming"] | None = None,
) -> tuple[LoginRecord | None, Checked]:
    """Count a guess at an account's password, then look at it; who is not there costs the same.

    Guesses of who is logged in already, or `here`, and of who has a link that confirms the address
    are counted `apart` from those of strangers, who could keep them out.

    Raises:
        TooManyRequestsError: there were too many, and this one was not looked at.
        UnavailableError: guesses cannot be counted now.
    """
    email = email.strip()
    found, old_cost = await _find(desk, email)
    known: str | None = apart
    if found is not None and apart is None:
        known = devices.recognise(desk.secret.key(DEVICE), found.id, device, desk.clock())
    await count_guess(desk, account_of(email), known or STRANGER)
    held = None if found is None else found.password_hash
    return found, await desk.passwords.check(password, held, old_cost)


async def _find(desk: Desk, email: str) -> tuple[LoginRecord | None, int | None]:
    """Find as `find` does, and say what the dearest hash of an older system costs."""
    async with unbound_transaction(desk.engine) as session:
        found = await users.find_user_by_email(session, email if is_email(email) else "")
        return found, await users.old_hash_cost(session)


async def log_in(desk: Desk, attempt: Attempt) -> LoggedIn:
    """Let a user in.

    Raises:
        NotAuthenticatedError: there is no such user, or the password is another: which of the two
            is not said, and takes as long.
        SecondFactorNeededError: the password is right, and a code is needed.
        ForbiddenError: the user may not log in, or has not confirmed the address yet.
        TooManyRequestsError: there were too many attempts.
    """
    found, checked = await check_password(desk, attempt.email, attempt.password, attempt.device)
    bound = journal.NOBODY if found is None else found.id
    async with transaction(desk.engine, bound) as session:
        outcome = await _decide(desk, session, attempt, found, checked)
        if isinstance(outcome, SeawallError):
            reason = type(outcome).__name__
            await journal.note(session, "LOGIN_FAILED", attempt.client, reason=reason)
    # Raised when the note is committed.
    if isinstance(outcome, SeawallError):
        raise outcome
    return LoggedIn(outcome, devices.issue(desk.secret.key(DEVICE), outcome.user_id, desk.clock()))


async def _decide(
    desk: Desk,
    session: AsyncSession,
    attempt: Attempt,
    found: LoginRecord | None,
    checked: Checked,
) -> OpenedSession | SeawallError:
    if found is None or not checked.is_right:
        return _wrong()
    if refusal := await _refuse(desk, session, attempt, found):
        return refusal
    changes = {} if checked.upgraded is None else {"password_hash": checked.upgraded}
    # While it was hashed the password may have been changed, or the account closed.
    unchanged = (User.password_hash == found.password_hash, User.status == found.status)
    if not await users.change_user(session, *unchanged, last_login_at=func.now(), **changes):
        return _wrong()
    opened = await sessions.begin(
        session, found.id, attempt.client, refreshable=attempt.refreshable
    )
    await journal.note(session, "LOGIN", attempt.client)
    return opened


def _wrong() -> NotAuthenticatedError:
    return NotAuthenticatedError(
        "The address or the password is wrong.", hint="Ask for a new password if it is lost."
    )


async def _refuse(
    desk: Desk, session: AsyncSession, attempt: Attempt, found: LoginRecord
) -> SeawallError | None:
    """Say why somebody who knows the password is not let in."""
    if found.status is not UserStatus.ACTIVE:
        return ForbiddenError("This account is closed.", hint="Ask whoever runs this installation.")
    if not found.email_verified:
        return ForbiddenError(
            "This address is not confirmed yet.", hint="Follow the link in the mail that was sent."
        )
    if not found.two_factor_enabled:
        return None
    if not attempt.code:
        return SecondFactorNeededError("A code of your second factor is needed too.")
    if not await two_factor.check(desk, session, found.id, attempt.code):
        return NotAuthenticatedError(
            "The code is wrong, or was used before.", hint="Wait for the next one."
        )
    return None
