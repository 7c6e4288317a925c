"""The secret that tokens are signed with, and the keys that are made of it for each purpose."""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from pydantic import SecretBytes

from seawall.core.errors import ForbiddenError, UnavailableError
from seawall.core.settings import Settings

_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SigningSecret:
    """Makes a key of its own for each purpose, so that what is signed for one is good for no other.

    Source: RFC 5869, section 2.3, with a label as `info`; the secret is random already.
    """

    def __init__(self, secret: SecretBytes) -> None:
        self._secret = secret

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes that only this secret and this purpose give."""
        label = f"seawall/{purpose}/1\x01".encode()
        return hmac.digest(self._secret.get_secret_value(), label, hashlib.sha256)


def read_secret(settings: Settings) -> SigningSecret:
    """Return the secret that is set, else the one in the data folder, which is made now.

    Raises:
        ForbiddenError: others may read the file.
        UnavailableError: it can be neither read nor made.
    """
    given = settings.api.secret
    if given is not None:
        return SigningSecret(SecretBytes(given.get_secret_value().encode()))
    path = settings.home / "secrets" / "api.secret"
    try:
        return SigningSecret(SecretBytes(_read(path) or _make(path)))
    except OSError as error:
        raise UnavailableError(
            f"The secret of the API in {path} cannot be reached: {error.strerror}.",
            hint="Make its folder writable for the user who runs Seawall, or set"
            " SEAWALL_API__SECRET.",
        ) from error


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise ForbiddenError(
                    f"The secret of the API in {path} can be reached by others: its mode is"
                    f" {mode:04o}.",
                    hint=f"Remove it, and log in anew: rm '{path}'.",
                )
            return file.read() or None
    except FileNotFoundError:
        return None


def _make(path: Path) -> bytes:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
        file.flush()
        os.fsync(descriptor)
    try:
        # Of several makers one wins, and the others read what it has made.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    found = _read(path)
    assert found is not None  # noqa: S101 - it was linked whole
    return found
