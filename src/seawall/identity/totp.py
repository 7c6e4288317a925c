"""The second factor: codes of 30 seconds each, and codes for whoever has lost the device.

Source: RFC 6238 (TOTP) with SHA-1, six digits and steps of 30 seconds, as every app knows it. One
step before and after the present one is taken too, for clocks that differ (section 5.2).
"""

import hashlib
import hmac
import secrets
from datetime import datetime

import pyotp
from pydantic import SecretStr

STEP_SECONDS = 30
DRIFT_STEPS = 1
ISSUER = "Seawall"
RECOVERY_CODES = 10
_GROUPS, _GROUP = 4, 4
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def new_secret() -> SecretStr:
    """Make a secret of 160 bits in base32, as authenticator apps take it."""
    return SecretStr(pyotp.random_base32())


def provisioning_uri(secret: SecretStr, account: str) -> SecretStr:
    """Return what the QR code holds that an authenticator app reads."""
    totp = pyotp.TOTP(secret.get_secret_value())
    return SecretStr(totp.provisioning_uri(name=account, issuer_name=ISSUER))


def matching_step(secret: SecretStr, code: str, moment: datetime) -> int | None:
    """Return the step since 1970 whose code this is, of the present and its neighbours."""
    given = code.replace(" ", "").encode(errors="surrogatepass")
    totp = pyotp.TOTP(secret.get_secret_value())
    present = int(moment.timestamp()) // STEP_SECONDS
    found = None
    for step in range(max(0, present - DRIFT_STEPS), present + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            found = step
    return found


def new_recovery_codes() -> list[SecretStr]:
    """Make codes of 80 random bits, each good once."""
    return [SecretStr("-".join(_group() for _ in range(_GROUPS))) for _ in range(RECOVERY_CODES)]


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def hash_recovery_code(code: str) -> bytes:
    """Return the hash that a recovery code is found by, however it is written."""
    written = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(written.encode(errors="surrogatepass")).digest()
