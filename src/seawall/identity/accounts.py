"""Accounts: registering, confirming an address, a new password, another address.

What somebody asks for an address is answered alike, and as late, whether or not it has an account;
what there is to say is said by mail to whoever reads that address.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import letters, two_factor
from seawall.identity.attempts import account_of, count_guess, may_mail
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.evenly import evenly
from seawall.identity.login import check_password, find
from seawall.identity.mail import post
from seawall.identity.passwords import require_strong
from seawall.identity.schemas import LoginRecord, Purpose, UserRecord, UserStatus, is_email
from seawall.identity.store import api_keys, sessions, tokens, users
from seawall.identity.tables import User
from seawall.identity.tokens import hash_token, new_token

VERIFY_WITHIN = timedelta(hours=24)
RESET_WITHIN = timedelta(hours=1)
CHANGE_WITHIN = timedelta(hours=1)
INVITED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that it is the user who asks; the code where the second factor is on."""

    password: SecretStr
    code: str | None = field(default=None, repr=False)


def require_email(email: str) -> str:
    """Return an address as it is held.

    Raises:
        InvalidError: it is none.
    """
    stripped = email.strip()
    if not is_email(stripped):
        raise InvalidError(f"{stripped!r} is not an e-mail address.")
    return stripped


def require_name(name: str) -> str:
    """Return a user's name, of which there is one way to write it.

    Raises:
        InvalidError: it has characters that are not seen, or that others are written with too.
    """
    if not name.isprintable() or name != unicodedata.normalize("NFKC", name).strip():
        raise InvalidError(
            "A name has only characters that are seen, each in its plain form.",
            hint="Write it with the keys of a keyboard.",
        )
    return name


def new_name() -> str:
    """Make a name for who has given none; they can change it."""
    return f"user-{uuid4().hex[:12]}"


async def register(desk: Desk, email: str, password: SecretStr) -> None:
    """Make an account that can be used once its address is confirmed.

    Who registers again before that chooses the password anew, and gets a new link; who has an
    account is told so by mail.

    Raises:
        ForbiddenError: people may not register themselves here.
        InvalidError: it is no address, or not a password to be had.
        UnavailableError: mails cannot be counted now.
    """
    if desk.settings.identity.registration == "closed":
        raise ForbiddenError(
            "Nobody can register here.", hint="Ask whoever runs this installation for an account."
        )
    email = require_email(email)
    require_strong(password, email, email.partition("@")[0])
    async with evenly():
        hashed = await desk.passwords.hash(password)
        if await may_mail(desk.cache, account_of(email), "register"):
            await _register(desk, email, hashed)


async def _register(desk: Desk, email: str, hashed: str) -> None:
    found = await find(desk, email)
    if found is None:
        user_id = uuid4()
        try:
            async with transaction(desk.engine, user_id) as session:
                await users.add_user(
                    session, id=user_id, username=new_name(), email=email, password_hash=hashed
                )
                await _send_verification(desk, session, user_id, email)
        except ConflictError:
            return  # Somebody registers the same address at this moment, and gets the mail.
        return
    async with transaction(desk.engine, found.id) as session:
        unconfirmed = (User.email_verified.is_(False), User.status == UserStatus.ACTIVE)
        if await users.change_user(session, *unconfirmed, password_hash=hashed):
            await _send_verification(desk, session, found.id, email)
        else:
            base = desk.settings.api.public_url
            await post(desk, session, found.id, letters.already_registered(email, base))


async def _send_verification(desk: Desk, session: AsyncSession, user_id: UUID, email: str) -> None:
    token = new_token()
    await tokens.add_token(
        session, Purpose.EMAIL_VERIFICATION, email, hash_token(token), VERIFY_WITHIN
    )
    base = desk.settings.api.public_url
    await post(desk, session, user_id, letters.verify_address(email, base, token))


async def verify_email(desk: Desk, token: SecretStr, password: SecretStr) -> None:
    """Confirm the address of an account, with the link that was sent to it and its password.

    The link alone would let a stranger register somebody else's address, and have it confirmed by
    whoever reads it.

    Raises:
        NotFoundError: the link is good no more.
        NotAuthenticatedError: the password is another.
        TooManyRequestsError: there were too many attempts.
    """
    found = await find_token(desk, Purpose.EMAIL_VERIFICATION, token)
    record, checked = await check_password(desk, found.email, password, apart="confirming")
    if record is None or record.id != found.user_id or not checked.is_right:
        raise NotAuthenticatedError(
            "The password is not the one that was chosen with this link.",
            hint="Register again to choose another.",
        )
    async with transaction(desk.engine, found.user_id) as session:
        same = User.password_hash == record.password_hash
        if not await tokens.use_token(session, found.id) or not await users.change_user(
            session, same, email_verified=True
        ):
            raise no_link()


async def request_reset(desk: Desk, email: str) -> None:
    """Send a link with which a new password can be chosen, if the address has an account.

    Raises:
        UnavailableError: mails cannot be counted now.
    """
    email = email.strip()
    async with evenly():
        if not await may_mail(desk.cache, account_of(email), "reset"):
            return
        found = await find(desk, email)
        if found is not None and found.status is UserStatus.ACTIVE:
            async with transaction(desk.engine, found.id) as session:
                await send_reset(desk, session, found.id)


async def send_reset(
    desk: Desk, session: AsyncSession, user_id: UUID, *, invite: bool = False
) -> None:
    """Send the bound user a link with which to choose a password."""
    user = await users.find_user(session)
    if user is None or user.email is None:
        return
    token, base = new_token(), desk.settings.api.public_url
    lifetime = INVITED_FOR if invite else RESET_WITHIN
    await tokens.add_token(session, Purpose.PASSWORD_RESET, user.email, hash_token(token), lifetime)
    write = letters.invitation if invite else letters.reset_password
    await post(desk, session, user_id, write(user.email, base, token))


async def reset_password(
    desk: Desk, token: SecretStr, password: SecretStr, *, revoke_api_keys: bool = True
) -> None:
    """Choose a new password with a link; all sessions and API keys of the user end.

    The link was sent to the address, which so is confirmed as well. Keys go on when that is wished:
    a mail names them either way.

    Raises:
        NotFoundError: the link is good no more.
        InvalidError: it is not a password to be had.
    """
    found = await find_token(desk, Purpose.PASSWORD_RESET, token)
    require_strong(password, found.email, found.email.partition("@")[0])
    hashed = await desk.passwords.hash(password)
    async with transaction(desk.engine, found.user_id) as session:
        if not await tokens.use_token(session, found.id) or not await users.change_user(
            session, User.email == found.email, password_hash=hashed, email_verified=True
        ):
            raise no_link()
        await tokens.void_tokens(session, *Purpose)
        await sessions.revoke(session)
        await _tell_new_password(desk, session, found.user_id, found.email, revoke=revoke_api_keys)


async def _tell_new_password(
    desk: Desk, session: AsyncSession, user_id: UUID, email: str, *, revoke: bool
) -> None:
    keys = [f"{each.name} ({each.prefix})" for each in await api_keys.list_keys(session)]
    if revoke:
        await api_keys.revoke_all(session)
    base = desk.settings.api.public_url
    letter = letters.password_changed(email, base, keys, are_revoked=revoke)
    await post(desk, session, user_id, letter)


async def change_password(
    desk: Desk, user: UserRecord, given: Proof, new: SecretStr, family_id: UUID | None
) -> None:
    """Change a user's password; all their sessions end but the one of a family.

    API keys go on: who knows the old password can revoke them.

    Raises:
        NotAuthenticatedError: the old password is another, or the code is wrong.
        SecondFactorNeededError: a code is needed too.
        InvalidError: the new one is not a password to be had.
    """
    record = await prove(desk, user, given.password)
    require_strong(new, user.email, user.username)
    hashed = await desk.passwords.hash(new)
    async with transaction(desk.engine, user.id) as session:
        same = User.password_hash == record.password_hash
        if not await users.change_user(session, same, password_hash=hashed):
            raise ConflictError("The password was changed meanwhile.")
        await two_factor.require_code(desk, session, user, given.code)
        await tokens.void_tokens(session, *Purpose)
        await sessions.revoke(session, but=family_id)
        if user.email is not None:
            await _tell_new_password(desk, session, user.id, user.email, revoke=False)


async def find_person(desk: Desk, user_id: UUID) -> UserRecord:
    """Return who asks.

    Raises:
        NotFoundError: they were deleted meanwhile.
    """
    async with transaction(desk.engine, user_id) as session:
        found = await users.find_user(session)
    if found is None:
        raise NotFoundError("There is no such user.")
    return found


async def prove(desk: Desk, user: UserRecord, password: SecretStr) -> LoginRecord:
    """Have a user who is here show that they know the password.

    Raises:
        NotAuthenticatedError: they do not.
        TooManyRequestsError: there were too many attempts.
    """
    record, checked = await check_password(desk, user.email or "", password, apart="here")
    if record is None or record.id != user.id or not checked.is_right:
        raise NotAuthenticatedError("The password is wrong.")
    return record


async def prove_by_code(desk: Desk, session: AsyncSession, code: str | None) -> None:
    """Have the bound user show a code of their second factor, where that is on.

    Raises:
        SecondFactorNeededError: there is none.
        NotAuthenticatedError: it is wrong.
        TooManyRequestsError: there were too many attempts.
    """
    user = await users.find_user(session)
    if user is None or not user.two_factor_enabled:
        return
    if code:
        await count_guess(desk, account_of(user.email or str(user.id)), "code")
    await two_factor.require_code(desk, session, user, code)


async def request_email_change(desk: Desk, user: UserRecord, given: Proof, email: str) -> None:
    """Send a link to the address that a user wants to have, unless it is another's.

    Raises:
        InvalidError: it is no address.
        NotAuthenticatedError: the password or the code is wrong.
        SecondFactorNeededError: a code is needed too.
    """
    email = require_email(email)
    await prove(desk, user, given.password)
    async with transaction(desk.engine, user.id) as session:
        await two_factor.require_code(desk, session, user, given.code)
    async with evenly():
        if not await may_mail(desk.cache, account_of(email), "change"):
            return
        taken = await find(desk, email)
        if taken is not None and taken.id != user.id:
            return
        token = new_token()
        async with transaction(desk.engine, user.id) as session:
            await tokens.add_token(
                session, Purpose.EMAIL_CHANGE, email, hash_token(token), CHANGE_WITHIN
            )
            letter = letters.confirm_address(email, desk.settings.api.public_url, token)
            await post(desk, session, user.id, letter)


async def confirm_email_change(desk: Desk, token: SecretStr) -> None:
    """Give a user the address that a link was sent to, and tell the former one.

    Raises:
        NotFoundError: the link is good no more, also because the address has become another's.
    """
    found = await find_token(desk, Purpose.EMAIL_CHANGE, token)
    try:
        async with transaction(desk.engine, found.user_id) as session:
            before = await users.find_user(session)
            if before is None or not await tokens.use_token(session, found.id):
                raise no_link()
            await users.change_user(session, email=found.email, email_verified=True)
            await tokens.void_tokens(session, *Purpose)
            if before.email is not None:
                letter = letters.address_changed(before.email, found.email)
                await post(desk, session, found.user_id, letter)
    except ConflictError:
        raise no_link() from None


async def find_token(desk: Desk, purpose: Purpose, token: SecretStr) -> tokens.FoundToken:
    """Return whose link it is.

    Raises:
        NotFoundError: it is good no more.
    """
    async with unbound_transaction(desk.engine) as session:
        found = await tokens.find_token(session, purpose, hash_token(token))
    if found is None:
        raise no_link()
    return found


def no_link() -> NotFoundError:
    """Return the error of a link that is good no more."""
    return NotFoundError(
        "This link is good no more.", hint="It is good once, and not for ever: ask for another."
    )
