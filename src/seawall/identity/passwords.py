"""Passwords: hashed with argon2id away from the event loop, verified, and upgraded from bcrypt."""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import SecretStr

from seawall.core.errors import InvalidError

T = TypeVar("T")
SHORTEST, LONGEST = 12, 256
FEWEST_DIFFERENT = 5
_BCRYPT_BYTES = 72
"""Of more than these bcrypt knows nothing, and the systems that used it cut the rest off."""

_OLD_DECOY = "$2b${:02}$" + "." * 53
"""A hash of bcrypt's form that takes as long, and is of no password that anybody knows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right, and a hash to hold from now on, when a better one is due."""

    is_right: bool
    upgraded: str | None = field(default=None, repr=False)


class Passwords:
    """Hashes and checks passwords in threads of its own: each takes memory and a core.

    The defaults are the second recommended option of RFC 9106, section 4: 64 MiB, three passes.
    """

    def __init__(self, argon2: Argon2Hasher | None = None, threads: int | None = None) -> None:
        self._argon2 = argon2 or Argon2Hasher()
        self._hashers = PasswordHash((self._argon2, BcryptHasher()))
        self._threads = ThreadPoolExecutor(
            threads or os.cpu_count() or 1, thread_name_prefix="passwords"
        )
        # Who is not there is checked against this, so that it takes as long.
        self._decoy = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: SecretStr) -> str:
        """Return the hash to hold of a new password."""
        return await self._run(lambda: self._argon2.hash(password.get_secret_value()))

    async def check(
        self, password: SecretStr, known: str | None, old_cost: int | None = None
    ) -> Checked:
        """Tell whether a password is the one that was hashed; without a hash it never is.

        While somebody's hash is still bcrypt's, of `old_cost`, every check does the work of both
        kinds: which of them a user has, if any, is then not to be told by time.
        """
        return await self._run(
            lambda: self._check_all(password.get_secret_value(), known, old_cost)
        )

    def _check_all(self, password: str, known: str | None, old_cost: int | None) -> Checked:
        found = self._check(password, known)
        if old_cost is not None:
            is_old = known is not None and known.startswith("$2")
            self._check(password, self._decoy if is_old else _OLD_DECOY.format(old_cost))
        return found

    def _check(self, password: str, known: str | None) -> Checked:
        given: str | bytes = password
        if known is not None and known.startswith("$2"):
            given = password.encode(errors="surrogatepass")[:_BCRYPT_BYTES]
        try:
            is_right, upgraded = self._hashers.verify_and_update(given, known or self._decoy)
        except (ValueError, TypeError):  # Characters that are no text, or that bcrypt refuses.
            return Checked(is_right=False)
        if upgraded is not None and isinstance(given, bytes):
            # Hashed in full, where bcrypt had cut it off.
            upgraded = self._argon2.hash(password)
        return Checked(is_right and known is not None, upgraded if known is not None else None)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def require_strong(password: SecretStr, *known: str | None) -> None:
    """Check that a new password is long enough, and not made of what others know of the user.

    Source: NIST SP 800-63B-4, section 3.1.1: length, not rules of composition.

    Raises:
        InvalidError: it is not.
    """
    text = password.get_secret_value()
    if not SHORTEST <= len(text) <= LONGEST:
        raise InvalidError(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(text)}.",
            hint="A few words that do not belong together are easy to keep in mind.",
        )
    if len(set(text.lower())) < FEWEST_DIFFERENT:
        raise InvalidError("This password repeats the same few characters.")
    if "\x00" in text or text != text.encode(errors="ignore").decode():
        raise InvalidError("This password has characters that are no text.")
    for each in known:
        if each and text.lower() in each.lower() + each.lower():
            raise InvalidError("This password is the user's name or address.")
