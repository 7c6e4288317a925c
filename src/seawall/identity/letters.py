"""What the mails say, in plain text."""

from collections.abc import Sequence

from pydantic import SecretStr

from seawall.identity.schemas import Mail

_END = "\n\nIf this was not you, you need not do anything: without the token nothing happens.\n"


def _step(base: str, path: str, token: SecretStr, also: str = "") -> str:
    # The token is no part of an address, which proxies would log.
    where = f"{base.rstrip('/')}/api/v1/auth/{path}"
    return f"Send this token{also} to {where}:\n\n{token.get_secret_value()}"


def verify_address(email: str, base: str, token: SecretStr) -> Mail:
    """Write to who has registered."""
    body = (
        "Somebody, hopefully you, has registered at Seawall with this address. To confirm it:"
        f"\n\n{_step(base, 'verify-email', token, ', with the password that you chose,')}"
        f"\n\nIt is good for 24 hours, once.{_END}"
    )
    return Mail(email, "Confirm your address", SecretStr(body))


def already_registered(email: str, base: str) -> Mail:
    """Write to who is registered already."""
    body = (
        "Somebody, hopefully you, wanted to register at Seawall with this address. You have an"
        f" account already: log in at {base}, or ask there for a new password.\n\nIf this was not"
        " you, you need not do anything.\n"
    )
    return Mail(email, "You are registered already", SecretStr(body))


def reset_password(email: str, base: str, token: SecretStr) -> Mail:
    """Write to who has forgotten the password."""
    body = (
        "To choose a new password:\n\n"
        f"{_step(base, 'reset-password', token, ', with the new password,')}"
        f"\n\nIt is good for one hour, once. All devices will be logged out.{_END}"
    )
    return Mail(email, "Choose a new password", SecretStr(body))


def invitation(email: str, base: str, token: SecretStr) -> Mail:
    """Write to whom an operator has made a user."""
    body = (
        "You have an account at Seawall. To choose your password:\n\n"
        f"{_step(base, 'reset-password', token, ', with the new password,')}"
        "\n\nIt is good for seven days, once.\n"
    )
    return Mail(email, "Welcome to Seawall", SecretStr(body))


def confirm_address(email: str, base: str, token: SecretStr) -> Mail:
    """Write to the address that an account is to have."""
    body = (
        "This is to be the address of your account at Seawall. To confirm it:\n\n"
        f"{_step(base, 'confirm-email', token)}\n\nIt is good for one hour, once.{_END}"
    )
    return Mail(email, "Confirm your new address", SecretStr(body))


def address_changed(old: str, new: str) -> Mail:
    """Write to the address that an account had."""
    body = (
        f"The address of your account at Seawall is now {new}. If this was not you, tell whoever"
        " runs this installation at once: they can give you your account back.\n"
    )
    return Mail(old, "The address of your account was changed", SecretStr(body))


def account_deleted(email: str, base: str, token: SecretStr, until: str) -> Mail:
    """Write to who has left."""
    body = (
        "Your account at Seawall was deleted. Nobody can log in to it, all devices were logged"
        f" out, and all API keys were revoked. Everything in it is removed for good at {until}."
        "\n\nUntil then you can have it back. "
        f"{_step(base, 'restore-account', token, ', with your password,')}"
        "\n\nIf you want to leave, you need not do anything.\n"
    )
    return Mail(email, "Your account was deleted", SecretStr(body))


def account_restored(email: str) -> Mail:
    """Write to who has come back."""
    body = (
        "Your account at Seawall is there again, with everything that was in it. Log in as before;"
        " API keys have to be made anew. If this was not you, choose a new password at once.\n"
    )
    return Mail(email, "Your account was restored", SecretStr(body))


def password_changed(email: str, base: str, keys: Sequence[str], *, are_revoked: bool) -> Mail:
    """Write to whose password is another now; `keys` are the API keys that there were."""
    named = "".join(f"\n- {key}" for key in keys)
    if not keys:
        said = "There are no API keys."
    elif are_revoked:
        said = f"These API keys were revoked, and programs that use them need others:\n{named}"
    else:
        where = f"{base.rstrip('/')}/api/v1/api-keys"
        said = (
            f"These API keys go on working:\n{named}\n\nLogged in, you see them at {where}, and"
            " DELETE there, followed by / and the id of one, revokes it."
        )
    body = (
        "The password of your account at Seawall was changed, and all other devices were logged"
        f" out. {said}\n\nIf this was not you, ask for a new password at once: choosing it logs"
        " everybody out, and revokes all API keys.\n"
    )
    return Mail(email, "Your password was changed", SecretStr(body))
