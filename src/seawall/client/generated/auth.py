"""Auth: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """A session in a cookie, and what its pages send in `X-CSRF-Token`."""

    csrf_token: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSessions:
    """How many sessions ended."""

    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorEnrolment:
    """What an authenticator app is told, once."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginTokens:
    """An access token, and what to get the next one with."""

    access_token: str
    token_type: str | None = None
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """What replaces the device once each, told once."""

    recovery_codes: list[str]


class AuthOperations(Connection):
    """What the API does about auth."""

    def begin_two_factor(self, *, password: str) -> FactorEnrolment:
        """Begin with a second factor, which is on once a code of it is confirmed."""
        request = Request("POST", "/api/v1/auth/two-factor", json={"password": password})
        return self.send(request, TypeAdapter(FactorEnrolment))

    def change_email(
        self, *, password: str, email: str, code: str | Omitted | None = OMITTED
    ) -> None:
        """Have a token mailed to the address that the account is to have."""
        request = Request(
            "POST",
            "/api/v1/auth/change-email",
            json={"password": password, "code": code, "email": email},
        )
        self.raw(request)

    def change_password(
        self, *, password: str, new_password: str, code: str | Omitted | None = OMITTED
    ) -> None:
        """Change the password; all other sessions end."""
        request = Request(
            "POST",
            "/api/v1/auth/change-password",
            json={"password": password, "code": code, "new_password": new_password},
        )
        self.raw(request)

    def confirm_email(self, *, token: str) -> None:
        """Give the account the address that the token was mailed to."""
        request = Request("POST", "/api/v1/auth/confirm-email", json={"token": token})
        self.raw(request)

    def confirm_two_factor(self, *, code: str) -> RecoveryCodes:
        """Turn the second factor on."""
        request = Request("POST", "/api/v1/auth/two-factor/confirm", json={"code": code})
        return self.send(request, TypeAdapter(RecoveryCodes))

    def disable_two_factor(self, *, code: str, password: str) -> None:
        """Turn the second factor off."""
        request = Request(
            "POST", "/api/v1/auth/two-factor/disable", json={"code": code, "password": password}
        )
        self.raw(request)

    def forgot_password(self, *, email: str) -> None:
        """Have a token mailed to choose a new password with, if the address has an account."""
        request = Request("POST", "/api/v1/auth/forgot-password", json={"email": email})
        self.raw(request)

    def get_csrf_token(self) -> BrowserSession:
        """Tell a browser's pages their CSRF token."""
        request = Request("GET", "/api/v1/auth/csrf")
        return self.send(request, TypeAdapter(BrowserSession))

    def log_in(
        self,
        *,
        email: str,
        password: str,
        code: str | Omitted | None = OMITTED,
        device: str | Omitted | None = OMITTED,
        device_name: str | Omitted | None = OMITTED,
    ) -> LoginTokens:
        """Log a program in."""
        request = Request(
            "POST",
            "/api/v1/auth/login",
            json={
                "email": email,
                "password": password,
                "code": code,
                "device": device,
                "device_name": device_name,
            },
        )
        return self.send(request, TypeAdapter(LoginTokens))

    def log_in_browser(
        self,
        *,
        email: str,
        password: str,
        code: str | Omitted | None = OMITTED,
        device: str | Omitted | None = OMITTED,
        device_name: str | Omitted | None = OMITTED,
    ) -> BrowserSession:
        """Log a browser in, with cookies that no script reads."""
        request = Request(
            "POST",
            "/api/v1/auth/browser/login",
            json={
                "email": email,
                "password": password,
                "code": code,
                "device": device,
                "device_name": device_name,
            },
        )
        return self.send(request, TypeAdapter(BrowserSession))

    def log_out(self) -> None:
        """End the session that asks; who asks again, because the answer was lost, is told the same."""
        request = Request("POST", "/api/v1/auth/logout")
        self.raw(request)

    def log_out_everywhere(self) -> EndedSessions:
        """End all sessions, this one too."""
        request = Request("POST", "/api/v1/auth/logout-everywhere")
        return self.send(request, TypeAdapter(EndedSessions))

    def refresh(self, *, refresh_token: str) -> LoginTokens:
        """Use up a refresh token, for an access token and the next one."""
        request = Request("POST", "/api/v1/auth/refresh", json={"refresh_token": refresh_token})
        return self.send(request, TypeAdapter(LoginTokens))

    def register(self, *, email: str, password: str) -> None:
        """Register; what comes of it is told by mail alone."""
        request = Request(
            "POST", "/api/v1/auth/register", json={"email": email, "password": password}
        )
        self.raw(request)

    def renew_recovery_codes(self, *, code: str, password: str) -> RecoveryCodes:
        """Have other recovery codes; the earlier ones are over."""
        request = Request(
            "POST",
            "/api/v1/auth/two-factor/recovery-codes",
            json={"code": code, "password": password},
        )
        return self.send(request, TypeAdapter(RecoveryCodes))

    def reset_password(
        self, *, token: str, password: str, revoke_api_keys: bool | Omitted = OMITTED
    ) -> None:
        """Choose a new password; all sessions end, and all API keys unless they are to go on."""
        request = Request(
            "POST",
            "/api/v1/auth/reset-password",
            json={"token": token, "password": password, "revoke_api_keys": revoke_api_keys},
        )
        self.raw(request)

    def restore_account(self, *, token: str, password: str) -> None:
        """Restore a deleted account, with the token that was mailed and its password."""
        request = Request(
            "POST", "/api/v1/auth/restore-account", json={"token": token, "password": password}
        )
        self.raw(request)

    def verify_email(self, *, token: str, password: str) -> None:
        """Confirm the address of an account."""
        request = Request(
            "POST", "/api/v1/auth/verify-email", json={"token": token, "password": password}
        )
        self.raw(request)
