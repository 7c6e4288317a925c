"""Envelope encryption: each secret has a data key of its own, which a key of the ring wraps.

What is sealed tells how to open it, and opens only in the place that it was sealed for. Version 1
is these fields one after the other, in bytes:

| field | length | what it is |
| --- | --- | --- |
| magic | 3 | `SWS` |
| version | 1 | 1 |
| key id | 8 | which key of the ring wraps the data key |
| wrapping nonce | 12 | random |
| wrapped data key | 48 | the 32 bytes of the data key, encrypted, and 16 of the tag |
| nonce | 12 | random |
| ciphertext | n + 16 | the n bytes of the secret in UTF-8, encrypted, and 16 of the tag |

Both encryptions are AES-256-GCM. Their associated data is a label of the purpose and the version,
for the wrapping also the key id, then the place: the table's and the column's name, each after its
length in two bytes, and the 16 bytes of the tenant's and of the row's UUID.

Source: NIST SP 800-38D, sections 5.2.1 (tags of 128 bits) and 8.2.2 (random nonces of 96 bits).
Section 8.3 allows 2^32 encryptions under one key with such nonces: a data key encrypts once, and a
key of the ring once for each secret that is sealed or wrapped anew.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretBytes, SecretStr

from seawall.core.errors import ForbiddenError, InvalidError, UnavailableError
from seawall.core.keys import ID_BYTES, KEY_BYTES, Key, KeyRing

MAGIC = b"SWS"
VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16

_DATA_LABEL = b"seawall/secret/1\x00"
_WRAP_LABEL = b"seawall/data-key/1\x00"
_PREFIX = MAGIC + bytes([VERSION])
KEY_ID_AT = len(_PREFIX)
"""Where the key id begins, counted from 0."""
_WRAP_NONCE_AT = KEY_ID_AT + ID_BYTES
_WRAPPED_AT = _WRAP_NONCE_AT + NONCE_BYTES
_NONCE_AT = _WRAPPED_AT + KEY_BYTES + TAG_BYTES
_CIPHERTEXT_AT = _NONCE_AT + NONCE_BYTES
OVERHEAD = _CIPHERTEXT_AT + TAG_BYTES
"""Bytes that a sealed secret is longer than the secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """The one place where a sealed secret belongs; for rows of `users`, tenant and row are one."""

    table: str
    column: str
    tenant: UUID
    row: UUID

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of the row {self.row}"


def seal(ring: KeyRing, secret: SecretStr, place: Place) -> bytes:
    """Encrypt a secret for its place, under a new data key that the ring's current key wraps.

    Raises:
        InvalidError: it has half a surrogate pair, which no UTF-8 can hold.
    """
    data_key = SecretBytes(os.urandom(KEY_BYTES))
    nonce = os.urandom(NONCE_BYTES)
    encoded = _encode(secret, place)
    cipher = AESGCM(data_key.get_secret_value())
    ciphertext = cipher.encrypt(nonce, encoded.get_secret_value(), _DATA_LABEL + _bound(place))
    return _wrap(ring.current, data_key, place) + nonce + ciphertext


def open_sealed(ring: KeyRing, sealed: bytes, place: Place) -> SecretStr:
    """Decrypt what was sealed for this place.

    Raises:
        ForbiddenError: it was sealed for another place, or changed since.
        InvalidError: it is nothing that was sealed.
        UnavailableError: its key is not on the ring, or a newer Seawall sealed it.
    """
    data_key = _unwrap(ring, sealed, place)
    nonce, ciphertext = sealed[_NONCE_AT:_CIPHERTEXT_AT], sealed[_CIPHERTEXT_AT:]
    try:
        cipher = AESGCM(data_key.get_secret_value())
        return SecretStr(cipher.decrypt(nonce, ciphertext, _DATA_LABEL + _bound(place)).decode())
    except InvalidTag:
        raise _refusal(place) from None


def rewrap(ring: KeyRing, sealed: bytes, place: Place) -> bytes:
    """Wrap the data key anew, with the ring's current key; the secret stays as it is encrypted.

    Raises:
        SeawallError: as `open_sealed`, of which it is the first half.
    """
    return _wrap(ring.current, _unwrap(ring, sealed, place), place) + sealed[_NONCE_AT:]


def key_id_of(sealed: bytes) -> str:
    """Return the id of the key that something was sealed with.

    Raises:
        InvalidError: it is nothing that was sealed.
        UnavailableError: a newer Seawall sealed it.
    """
    if not sealed.startswith(MAGIC) or len(sealed) < OVERHEAD:
        raise InvalidError("This is not a sealed secret.")
    if not sealed.startswith(_PREFIX):
        raise UnavailableError(
            f"A secret is sealed in version {sealed[len(MAGIC)]} of the format, and this Seawall"
            f" knows version {VERSION}.",
            hint="Use the version of Seawall that sealed it.",
        )
    return sealed[KEY_ID_AT:_WRAP_NONCE_AT].hex()


def _wrap(key: Key, data_key: SecretBytes, place: Place) -> bytes:
    key_id, nonce = bytes.fromhex(key.id), os.urandom(NONCE_BYTES)
    cipher = AESGCM(key.secret.get_secret_value())
    bound = _WRAP_LABEL + key_id + _bound(place)
    wrapped = cipher.encrypt(nonce, data_key.get_secret_value(), bound)
    return _PREFIX + key_id + nonce + wrapped


def _unwrap(ring: KeyRing, sealed: bytes, place: Place) -> SecretBytes:
    key = ring.find(key_id_of(sealed))
    nonce, wrapped = sealed[_WRAP_NONCE_AT:_WRAPPED_AT], sealed[_WRAPPED_AT:_NONCE_AT]
    bound = _WRAP_LABEL + bytes.fromhex(key.id) + _bound(place)
    try:
        return SecretBytes(AESGCM(key.secret.get_secret_value()).decrypt(nonce, wrapped, bound))
    except InvalidTag:
        raise _refusal(place) from None


def _bound(place: Place) -> bytes:
    names = [name.encode() for name in (place.table, place.column)]
    lengths_and_names = b"".join(len(name).to_bytes(2, "big") + name for name in names)
    return lengths_and_names + place.tenant.bytes + place.row.bytes


def _encode(secret: SecretStr, place: Place) -> SecretBytes:
    try:
        return SecretBytes(secret.get_secret_value().encode())
    except UnicodeEncodeError:
        pass  # Its own error holds the secret, so ours is raised outside.
    raise InvalidError(f"The secret for {place} has characters that are no text.")


def _refusal(place: Place) -> ForbiddenError:
    return ForbiddenError(
        f"What is sealed in {place} was sealed for another place, or was changed since.",
        hint="Enter the secret anew, or bring the row back from a backup; if nobody has restored or"
        " copied rows by hand, find out who did.",
    )
