"""Access tokens: signed, short-lived, and tied to a session that can be ended at any time.

A token carries the secret of its session, by whose hash the session is looked up at each request:
so a token is over when its session is, however long its signature would still be good.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from time import time
from uuid import UUID

import jwt
from pydantic import SecretStr

from seawall.core.signing import SigningSecret
from seawall.identity.schemas import OpenedSession

ALGORITHM = "HS256"
ISSUER = "seawall"
REMEMBERED = 4_096
"""How many tokens one process need not check again."""
_CLAIMS = ("iss", "sub", "jti", "exp")


@dataclass(frozen=True, slots=True)
class Access:
    """What a token says: whose it is, and the secret of its session."""

    user_id: UUID
    session_token: SecretStr = field(repr=False)


def issue(secret: SigningSecret, opened: OpenedSession) -> str:
    """Write the access token of a session."""
    claims = {
        "iss": ISSUER,
        "sub": str(opened.user_id),
        "jti": opened.token.get_secret_value(),
        "exp": opened.expires_at,
    }
    return jwt.encode(claims, secret.key("access"), algorithm=ALGORITHM)


def read(secret: SigningSecret, token: str) -> Access | None:
    """Read an access token; None when it is not one of ours that is good now."""
    try:
        found, expires_at = _verified(secret, token)
    except (jwt.InvalidTokenError, ValueError):
        return None
    return found if time() < expires_at else None


# A token comes with every request of its 15 minutes: its signature is checked at the first.
@lru_cache(maxsize=REMEMBERED)
def _verified(secret: SigningSecret, token: str) -> tuple[Access, int]:
    claims = jwt.decode(
        token,
        secret.key("access"),
        algorithms=[ALGORITHM],
        issuer=ISSUER,
        options={"require": list(_CLAIMS)},
    )
    return Access(UUID(claims["sub"]), SecretStr(claims["jti"])), claims["exp"]
