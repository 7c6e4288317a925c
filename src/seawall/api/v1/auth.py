"""Registering, logging in and out, new passwords and addresses, and the second factor."""

from contextlib import suppress
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import Field, SecretStr, StringConstraints

from seawall.api import access
from seawall.api.bodies import Body, Shown, Time, Told
from seawall.api.callers import DEVICE_COOKIE, SESSION_COOKIE, client_of, csrf_token
from seawall.api.deps import Leaver, Person, Stranger, TheDesk, ThePerson
from seawall.api.operations import routes
from seawall.api.v1.proofs import FactorCode, FullProof, MaybeCode, Password, PasswordProof
from seawall.core.errors import ConflictError, ForbiddenError, NotFoundError
from seawall.db.session import transaction
from seawall.identity import accounts, leaving, login, sessions, two_factor
from seawall.identity.desk import Desk
from seawall.identity.devices import LIFETIME as DEVICE_LIFETIME
from seawall.identity.login import Attempt
from seawall.identity.schemas import OpenedSession
from seawall.identity.sessions import BROWSER_LIFETIME
from seawall.identity.store import sessions as store

router = routes("/auth", "auth")

Email = Annotated[str, StringConstraints(max_length=255), Field(examples=["ada@example.com"])]
Token = Annotated[SecretStr, Field(max_length=1024)]


class Credentials(Body):
    """An address with a password."""

    email: Email
    password: Password


class LoginRequest(Credentials):
    """What lets somebody in."""

    code: MaybeCode = None
    device: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="What an earlier login made this device known by."
    )
    device_name: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, examples=["laptop"]
    )


class LoginTokens(Told):
    """An access token, and what to get the next one with."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token
    expires_at: Time
    refresh_token: Shown
    refresh_expires_at: Time
    device: str | None = Field(
        default=None, description="Makes this device known: send it with the next login."
    )


class BrowserSession(Told):
    """A session in a cookie, and what its pages send in `X-CSRF-Token`."""

    csrf_token: str
    expires_at: Time | None = None


def _tokens(desk: Desk, opened: OpenedSession, device: str | None = None) -> LoginTokens:
    assert opened.refresh_token is not None  # noqa: S101 - a program's session has one
    assert opened.refresh_expires_at is not None  # noqa: S101 - and its end
    return LoginTokens(
        access_token=access.issue(desk.secret, opened),
        expires_at=opened.expires_at,
        refresh_token=opened.refresh_token,
        refresh_expires_at=opened.refresh_expires_at,
        device=device,
    )


@router.post("/register", status_code=202, operation_id="register", dependencies=[Stranger])
async def register(desk: TheDesk, body: Credentials) -> None:
    """Register; what comes of it is told by mail alone."""
    await accounts.register(desk, body.email, body.password)


class MailedProof(Body):
    """The token of a mail, with the password that was chosen."""

    token: Token
    password: Password


@router.post("/verify-email", status_code=204, operation_id="verifyEmail", dependencies=[Stranger])
async def verify_email(desk: TheDesk, body: MailedProof) -> None:
    """Confirm the address of an account."""
    await accounts.verify_email(desk, body.token, body.password)


@router.post("/login", operation_id="logIn", dependencies=[Stranger])
async def log_in(desk: TheDesk, request: Request, body: LoginRequest) -> LoginTokens:
    """Log a program in."""
    client = client_of(request, body.device_name)
    found = await login.log_in(
        desk, Attempt(body.email, body.password, client, body.code, body.device)
    )
    return _tokens(desk, found.session, found.device)


class RefreshRequest(Body):
    """A refresh token."""

    refresh_token: Token


@router.post("/refresh", operation_id="refresh", dependencies=[Stranger])
async def refresh(desk: TheDesk, request: Request, body: RefreshRequest) -> LoginTokens:
    """Use up a refresh token, for an access token and the next one."""
    return _tokens(desk, await sessions.refresh(desk, body.refresh_token, client_of(request)))


@router.post("/browser/login", operation_id="logInBrowser", dependencies=[Stranger])
async def log_in_browser(
    desk: TheDesk, request: Request, response: Response, body: LoginRequest
) -> BrowserSession:
    """Log a browser in, with cookies that no script reads."""
    device = body.device or request.cookies.get(DEVICE_COOKIE)
    client = client_of(request, body.device_name)
    attempt = Attempt(body.email, body.password, client, body.code, device, refreshable=False)
    found = await login.log_in(desk, attempt)
    token = found.session.token.get_secret_value()
    for name, value, lifetime in (
        (SESSION_COOKIE, token, BROWSER_LIFETIME),
        (DEVICE_COOKIE, found.device, DEVICE_LIFETIME),
    ):
        response.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )
    return BrowserSession(csrf_token=csrf_token(desk, token), expires_at=found.session.expires_at)


@router.get("/csrf", operation_id="getCsrfToken")
async def get_csrf_token(desk: TheDesk, request: Request, caller: ThePerson) -> BrowserSession:
    """Tell a browser's pages their CSRF token."""
    if caller.kind != "cookie":
        raise ForbiddenError("Only a browser's session has a CSRF token.")
    return BrowserSession(csrf_token=csrf_token(desk, request.cookies[SESSION_COOKIE]))


@router.post("/logout", status_code=204, operation_id="logOut")
async def log_out(bound: Leaver, request: Request, response: Response) -> None:
    """End the session that asks; who asks again, because the answer was lost, is told the same."""
    if bound is not None:
        assert bound.caller.session_id is not None  # noqa: S101 - a person has one
        family = await store.find_family(bound.session, bound.caller.session_id)
        if family is not None:
            # Of two at once the second finds that it is done.
            with suppress(NotFoundError):
                await sessions.log_out(bound.session, family, client_of(request))
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


class EndedSessions(Told):
    """How many sessions ended."""

    ended: int


@router.post("/logout-everywhere", operation_id="logOutEverywhere")
async def log_out_everywhere(bound: Person, request: Request) -> EndedSessions:
    """End all sessions, this one too."""
    ended = await sessions.log_out_everywhere(bound.session, client_of(request))
    return EndedSessions(ended=ended)


class MailAddress(Body):
    """An address."""

    email: Email


@router.post(
    "/forgot-password", status_code=202, operation_id="forgotPassword", dependencies=[Stranger]
)
async def forgot_password(desk: TheDesk, body: MailAddress) -> None:
    """Have a token mailed to choose a new password with, if the address has an account."""
    await accounts.request_reset(desk, body.email)


class PasswordReset(MailedProof):
    """The token of a mail, with the password to have from now on."""

    revoke_api_keys: bool = Field(
        default=True, description="False lets API keys go on; a mail names them either way."
    )


@router.post(
    "/reset-password", status_code=204, operation_id="resetPassword", dependencies=[Stranger]
)
async def reset_password(desk: TheDesk, body: PasswordReset) -> None:
    """Choose a new password; all sessions end, and all API keys unless they are to go on."""
    await accounts.reset_password(
        desk, body.token, body.password, revoke_api_keys=body.revoke_api_keys
    )


class PasswordChange(FullProof):
    """The password, and the one to have instead."""

    new_password: Password


@router.post("/change-password", status_code=204, operation_id="changePassword")
async def change_password(desk: TheDesk, caller: ThePerson, body: PasswordChange) -> None:
    """Change the password; all other sessions end."""
    user = await accounts.find_person(desk, caller.user_id)
    assert caller.session_id is not None  # noqa: S101 - a person has one
    async with transaction(desk.engine, caller.user_id) as session:
        family = await store.find_family(session, caller.session_id)
    given = accounts.Proof(body.password, body.code)
    await accounts.change_password(desk, user, given, body.new_password, family)


class AddressChange(FullProof):
    """The address that the account is to have."""

    email: Email


@router.post("/change-email", status_code=202, operation_id="changeEmail")
async def change_email(desk: TheDesk, caller: ThePerson, body: AddressChange) -> None:
    """Have a token mailed to the address that the account is to have."""
    user = await accounts.find_person(desk, caller.user_id)
    given = accounts.Proof(body.password, body.code)
    await accounts.request_email_change(desk, user, given, body.email)


class MailedToken(Body):
    """The token of a mail."""

    token: Token


@router.post(
    "/confirm-email", status_code=204, operation_id="confirmEmail", dependencies=[Stranger]
)
async def confirm_email(desk: TheDesk, body: MailedToken) -> None:
    """Give the account the address that the token was mailed to."""
    await accounts.confirm_email_change(desk, body.token)


@router.post(
    "/restore-account", status_code=204, operation_id="restoreAccount", dependencies=[Stranger]
)
async def restore_account(desk: TheDesk, body: MailedProof) -> None:
    """Restore a deleted account, with the token that was mailed and its password."""
    await leaving.restore_account(desk, body.token, body.password)


class FactorEnrolment(Told):
    """What an authenticator app is told, once."""

    secret: Shown
    uri: Shown = Field(description="What the QR code holds.")


class CodeProof(Body):
    """A code of the second factor."""

    code: FactorCode


class RecoveryCodes(Told):
    """What replaces the device once each, told once."""

    recovery_codes: list[Shown]


@router.post("/two-factor", operation_id="beginTwoFactor")
async def begin_two_factor(
    desk: TheDesk, caller: ThePerson, body: PasswordProof
) -> FactorEnrolment:
    """Begin with a second factor, which is on once a code of it is confirmed."""
    await accounts.prove(desk, await accounts.find_person(desk, caller.user_id), body.password)
    async with transaction(desk.engine, caller.user_id) as session:
        return FactorEnrolment.model_validate(await two_factor.begin(desk, session, caller.user_id))


@router.post("/two-factor/confirm", operation_id="confirmTwoFactor")
async def confirm_two_factor(desk: TheDesk, bound: Person, body: CodeProof) -> RecoveryCodes:
    """Turn the second factor on."""
    codes = await two_factor.confirm(desk, bound.session, bound.caller.user_id, body.code)
    return RecoveryCodes(recovery_codes=codes)


class StrictProof(PasswordProof, CodeProof):
    """The password and a code."""


@router.post("/two-factor/recovery-codes", operation_id="renewRecoveryCodes")
async def renew_recovery_codes(
    desk: TheDesk, caller: ThePerson, body: StrictProof
) -> RecoveryCodes:
    """Have other recovery codes; the earlier ones are over."""
    user = await accounts.find_person(desk, caller.user_id)
    await accounts.prove(desk, user, body.password)
    async with transaction(desk.engine, caller.user_id) as session:
        await two_factor.require_code(desk, session, user, body.code)
        return RecoveryCodes(recovery_codes=await two_factor.renew_codes(session))


@router.post("/two-factor/disable", status_code=204, operation_id="disableTwoFactor")
async def disable_two_factor(desk: TheDesk, caller: ThePerson, body: StrictProof) -> None:
    """Turn the second factor off."""
    await accounts.prove(desk, await accounts.find_person(desk, caller.user_id), body.password)
    async with transaction(desk.engine, caller.user_id) as session:
        right = await two_factor.check(desk, session, caller.user_id, body.code)
        if right:
            await two_factor.turn_off(session)
    if not right:
        raise ConflictError("The code is wrong, or the second factor is off.")
