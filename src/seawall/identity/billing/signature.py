"""Stripe's signatures: who cannot sign is not heard, and what was signed long ago neither.

Source: https://docs.stripe.com/webhooks#verify-manually: HMAC-SHA256, keyed with the endpoint's
secret, of the timestamp, a full stop and the body as it was sent.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

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
