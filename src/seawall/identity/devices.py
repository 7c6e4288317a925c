"""Known devices: what lets the owner in while somebody else guesses at the password.

Whoever logs in gets a device token, signed and held by the device alone. Guesses from a device that
the user has logged in from are counted for that device, all others together for the account: so a
stranger can lock the account for strangers, and not for its owner.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

LIFETIME = timedelta(days=180)
_NONCE, _TIME, _MAC, _ID = 12, 8, 32, 16


def issue(key: bytes, user_id: UUID, moment: datetime) -> str:
    """Make a device known, as one that a user has logged in from."""
    body = secrets.token_bytes(_NONCE) + int(moment.timestamp()).to_bytes(_TIME, "big")
    return base64.urlsafe_b64encode(body + _sign(key, user_id, body)).decode()


def recognise(key: bytes, user_id: UUID, token: str | None, moment: datetime) -> str | None:
    """Return what a device of this user is counted by; None when it is not known as one."""
    try:
        raw = base64.b64decode((token or "").encode(), altchars=b"-_", validate=True)
    except ValueError:
        return None
    body, mac = raw[:-_MAC], raw[-_MAC:]
    if len(body) != _NONCE + _TIME or not hmac.compare_digest(mac, _sign(key, user_id, body)):
        return None
    age = moment.timestamp() - int.from_bytes(body[_NONCE:], "big")
    return body[:_NONCE].hex() if age < LIFETIME.total_seconds() else None


def _sign(key: bytes, user_id: UUID, body: bytes) -> bytes:
    return hmac.digest(key, user_id.bytes + body, hashlib.sha256)
