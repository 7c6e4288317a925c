"""The ring of key-encryption keys, taken from the environment or from a file."""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import SecretBytes

from seawall.core.errors import InvalidError, UnavailableError, name_some
from seawall.core.keyfile import damaged, locked, read_lines, write_lines
from seawall.core.settings import Settings

KEY_BYTES = 32
"""AES-256."""
ID_BYTES = 8
KEY = "SEAWALL_ENCRYPTION__KEY"
OLD_KEYS = "SEAWALL_ENCRYPTION__OLD_KEYS"

_ID_LABEL = b"seawall/key-id/1\x00"
_MAKE_ONE = "Make one with `openssl rand -base64 32`."


@dataclass(frozen=True, slots=True)
class Key:
    """A key-encryption key. Its id follows from it, so that no key can pass for another."""

    id: str
    secret: SecretBytes


def as_key(secret: bytes) -> Key:
    """Give 32 bytes their id: the first 8 bytes of a labelled SHA-256, in hexadecimal."""
    return Key(hashlib.sha256(_ID_LABEL + secret).digest()[:ID_BYTES].hex(), SecretBytes(secret))


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys at hand, the current one first; `origin` tells where they were found."""

    keys: tuple[Key, ...]
    origin: str
    to_add: str
    """What to do when a key is missing."""

    @property
    def current(self) -> Key:
        """The key that new secrets are sealed with."""
        return self.keys[0]

    def find(self, key_id: str) -> Key:
        """Return a key by its id.

        Raises:
            UnavailableError: it is not on the ring.
        """
        for key in self.keys:
            if key.id == key_id:
                return key
        raise self._lack([key_id])

    def require(self, key_ids: Iterable[str]) -> None:
        """Check that every one of these keys is on the ring.

        Raises:
            UnavailableError: one or more are not.
        """
        missing = sorted(set(key_ids) - {key.id for key in self.keys})
        if missing:
            raise self._lack(missing)

    def _lack(self, missing: Sequence[str]) -> UnavailableError:
        named = f"{'keys' if len(missing) > 1 else 'key'} {name_some(missing)}"
        return UnavailableError(
            f"Secrets here are sealed with the encryption {named}, missing in {self.origin}.",
            hint=self.to_add,
            details={"missing": list(missing), "looked_in": self.origin},
        )


class KeyStore:
    """Where an installation keeps its keys: the environment when a key is set there, else a file.

    Nothing is cached: a ring that is read is the present one.
    """

    def __init__(self, settings: Settings) -> None:
        self._given = settings.encryption
        chosen = self._given.key_file or settings.home / "secrets" / "encryption.keys"
        self.path = chosen.expanduser().resolve()

    def read(self) -> KeyRing:
        """Return the keys that are there; a ring without keys when none was ever made.

        Raises:
            InvalidError: what is there is not a key.
            ForbiddenError: others may read the file.
            UnavailableError: the file cannot be read.
        """
        if self._given.key is not None:
            return self._from_environment()
        if self._given.old_keys is not None:
            raise InvalidError(
                f"{OLD_KEYS} is set, and {KEY} is not.",
                hint=f"Set the current key too, or unset {OLD_KEYS} to use {self.path}.",
            )
        keys = tuple(self._checked(name, written) for name, written in read_lines(self.path))
        to_add = (
            f"Bring the file back from a backup, or name the one that has the key with {KEY}_FILE."
            " Nothing was touched."
        )
        return KeyRing(keys, str(self.path), to_add)

    def read_or_make(self) -> KeyRing:
        """Return the keys that are there; the first one is made now. Two makers make one key."""
        found = self.read()
        if found.keys:
            return found
        with locked(self.path):
            found = self.read()
            return found if found.keys else self._write_new(found)

    def renew(self) -> KeyRing:
        """Make a new key the current one, and keep the others.

        Raises:
            InvalidError: the keys are in the environment, which only its owner can change.
        """
        if self._given.key is not None:
            raise InvalidError(
                f"The current key is set in {KEY}, and every secret is sealed with it already.",
                hint=f"Put the former key into {OLD_KEYS} and a new one into {KEY}, for every"
                f" process that uses this database; then run this again. {_MAKE_ONE}",
            )
        with locked(self.path):
            return self._write_new(self.read())

    def _write_new(self, found: KeyRing) -> KeyRing:
        keys = (as_key(os.urandom(KEY_BYTES)), *found.keys)
        lines = [(key.id, base64.b64encode(key.secret.get_secret_value()).decode()) for key in keys]
        write_lines(self.path, lines)
        return KeyRing(keys, found.origin, found.to_add)

    def _checked(self, name: str, written: str) -> Key:
        key = _decode(written)
        if key is None or key.id != name:
            raise damaged(self.path, f"what stands under the id {_shown(name)} is not that key")
        return key

    def _from_environment(self) -> KeyRing:
        assert self._given.key is not None  # noqa: S101 - asked by the caller
        old = self._given.old_keys.get_secret_value() if self._given.old_keys else ""
        written = [(KEY, self._given.key.get_secret_value())]
        written += [(OLD_KEYS, each) for each in old.split(",") if each.strip()]
        keys: dict[str, Key] = {}
        for variable, text in written:
            key = _decode(text.strip())
            if key is None:
                raise InvalidError(
                    f"{variable} is not {KEY_BYTES} bytes in base64.", hint=_MAKE_ONE
                )
            keys.setdefault(key.id, key)
        return KeyRing(
            tuple(keys.values()),
            f"{KEY} and {OLD_KEYS}",
            f"Add it to {OLD_KEYS}. Nothing was touched.",
        )


def _decode(written: str) -> Key | None:
    try:
        plain = written.replace("-", "+").replace("_", "/")  # As base64url writes it.
        secret = base64.b64decode(plain, validate=True)
    except ValueError:
        return None
    return as_key(secret) if len(secret) == KEY_BYTES else None


def _shown(name: str) -> str:
    """Repeat an id, but never what may be a key in the wrong place."""
    return name if len(name) == 2 * ID_BYTES and name.isalnum() else "of one line"
