"""How often somebody may guess: counted before a guess is looked at, and refused without a count.

A window lasts 15 minutes and takes five guesses, so that in any 15 minutes, which meet two windows
at most, no more than ten are looked at. When the cache is away nothing can be counted, and so
nobody logs in: `Cache.hit` raises `UnavailableError`.
"""

import hashlib

from seawall.core.time import iso
from seawall.db.cache import Cache
from seawall.identity.errors import TooManyRequestsError

GUESSES, GUESS_SECONDS = 5, 15 * 60
MAILS, MAIL_SECONDS = 3, 60 * 60


def account_of(email: str) -> str:
    """Name an account without its address, whether or not there is one."""
    return hashlib.sha256(email.strip().lower().encode(errors="surrogatepass")).hexdigest()


async def count_guess(cache: Cache, account: str, device: str | None = None) -> None:
    """Count one guess at an account's password, or from one of its known devices.

    Raises:
        TooManyRequestsError: there were too many; this one is not to be looked at.
        UnavailableError: the cache is away.
    """
    usage = await cache.hit(account, f"login:{device or 'unknown'}", GUESS_SECONDS)
    if usage.count > GUESSES:
        raise TooManyRequestsError(
            f"There were too many attempts at this account. Try again at {iso(usage.resets_at)}.",
            usage.resets_at,
            hint="A device that you have logged in from before can still log in.",
        )


async def may_mail(cache: Cache, account: str) -> bool:
    """Count one mail that somebody wants sent to an address; False when there were enough.

    Raises:
        UnavailableError: the cache is away.
    """
    usage = await cache.hit(account, "mail", MAIL_SECONDS)
    return usage.count <= MAILS
