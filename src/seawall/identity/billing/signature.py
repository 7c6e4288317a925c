"""Stripe's signatures: who cannot sign is not heard, and what was signed long ago neither.

What was signed is kept with a proof of ours, so that a row that somebody wrote without the secret
is applied by nobody.

Source: https://docs.stripe.com/webhooks#verify-manually: HMAC-SHA256, keyed with the endpoint's
secret, of the timestamp, a full stop and the body as it was sent.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr

from seawall.core.errors import InvalidError

TOLERANCE = timedelta(minutes=5)
_LONGEST = 2_000


def require_signed(payload: bytes, header: str | None, secret: SecretStr, moment: datetime) -> None:
    """Check that a body was signed by whoever has the secret, and not long ago.

    Raises:
        InvalidError: it was not; which of the two is not said.
    """
    stamp, signatures = _read(header or "")
    key = secret.get_secret_value().encode()
    signed = stamp.encode() + b"." + payload
    expected = hmac.digest(key, signed, hashlib.sha256).hex().encode()
    # Each is compared: Stripe signs with two secrets while one takes the other's place.
    right = [hmac.compare_digest(expected, each.encode(errors="replace")) for each in signatures]
    age = abs(moment.timestamp() - int(stamp)) if stamp else None
    if not key or age is None or age > TOLERANCE.total_seconds() or not any(right):
        raise InvalidError("This is not signed by Stripe, or was long ago.")


def _read(header: str) -> tuple[str, list[str]]:
    stamp, signatures = "", []
    for part in header[:_LONGEST].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:  # noqa: PLR2004 - until the year 33658
            stamp = value
        elif name == "v1":
            signatures.append(value)
    return stamp, signatures


def prove(secret: SecretStr, id_: str, facts: Mapping[str, Any]) -> bytes:
    """Return the proof that an event of these facts was heard by who has the secret."""
    key = hmac.digest(secret.get_secret_value().encode(), b"kept event", hashlib.sha256)
    # With sorted keys, since the database keeps no order of its own.
    written = orjson.dumps([id_, dict(facts)], option=orjson.OPT_SORT_KEYS)
    return hmac.digest(key, written, hashlib.sha256)


def is_proven(secret: SecretStr, id_: str, facts: Mapping[str, Any], proof: bytes) -> bool:
    """Tell whether an event that was kept is one that was heard."""
    return hmac.compare_digest(prove(secret, id_, facts), proof)
