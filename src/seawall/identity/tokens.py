"""Random tokens, and the hashes that are held of them."""

import hashlib
import secrets

from pydantic import SecretStr

TOKEN_BYTES = 32
"""256 random bits: nothing that can be guessed, so a plain hash of it is safe to hold."""
KEY_PREFIX = "sw_"
_MARK_CHARACTERS = 6
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_token() -> SecretStr:
    """Make a token that can stand in a link or a header."""
    return SecretStr(secrets.token_urlsafe(TOKEN_BYTES))


def new_api_key() -> tuple[SecretStr, str]:
    """Make an API key, and the prefix by which people tell it from others."""
    prefix = KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_MARK_CHARACTERS))
    return SecretStr(f"{prefix}_{secrets.token_urlsafe(TOKEN_BYTES)}"), prefix


def hash_token(token: SecretStr) -> bytes:
    """Return the SHA-256 hash that a token is found by."""
    return hashlib.sha256(token.get_secret_value().encode(errors="surrogatepass")).digest()
