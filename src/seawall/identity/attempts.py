"""How often somebody may guess: counted before a guess is looked at, and refused without a count.

A window lasts 15 minutes and takes five guesses, so that in any 15 minutes, which meet two windows
at most, no more than ten are looked at. The cache counts first, and refuses the most; what it lets
pass the database counts, which forgets nothing when the cache is emptied, drops a count, or is
replaced by one that is behind. When either is away nothing can be counted, and so nobody logs in.
"""

import hashlib
import hmac
from typing import Literal

from seawall.core.time import iso
from seawall.db.cache import Cache
from seawall.db.session import unbound_transaction
from seawall.identity.desk import Desk
from seawall.identity.errors import TooManyRequestsError
from seawall.identity.store import guesses as store

GUESSES, GUESS_SECONDS = 5, 15 * 60
MAILS, MAIL_SECONDS = 3, 60 * 60
STRANGER = "unknown"
"""The kind of guess of whom nothing is known."""
_PURPOSE = "guesses"
"""What the signing secret is asked for."""


def account_of(email: str) -> str:
    """Name an account without its address, whether or not there is one."""
    return hashlib.sha256(email.strip().lower().encode(errors="surrogatepass")).hexdigest()


async def count_guess(desk: Desk, account: str, kind: str) -> None:
    """Count one guess at what lets into an account, apart for each kind: such as a known device.

    Raises:
        TooManyRequestsError: there were too many; this one is not to be looked at.
        UnavailableError: the cache or the database is away.
    """
    # Most of a flood ends here, and costs no connection.
    usage = await desk.cache.hit(account, f"login:{kind}", GUESS_SECONDS)
    guessed = usage.count
    if guessed <= GUESSES:
        async with unbound_transaction(desk.engine) as session:
            what = _hash(desk, f"{account} {kind}")
            guessed = await store.count_guess(session, what, usage.resets_at)
    if guessed > GUESSES:
        raise TooManyRequestsError(
            f"There were too many attempts at this account. Try again at {iso(usage.resets_at)}.",
            usage.resets_at,
            hint="A device that you have logged in from before can still log in.",
        )


def _hash(desk: Desk, what: str) -> bytes:
    # Keyed, so that a copy of the database does not tell which addresses were tried.
    return hmac.digest(desk.secret.key(_PURPOSE), what.encode(), hashlib.sha256)


async def may_mail(
    cache: Cache, account: str, kind: Literal["register", "reset", "change"]
) -> bool:
    """Count a mail that somebody wants sent to an address; False when there were enough of a kind.

    Else a stranger who registers the address would keep its owner from resetting the password.

    Raises:
        UnavailableError: the cache is away.
    """
    usage = await cache.hit(account, f"mail:{kind}", MAIL_SECONDS)
    return usage.count <= MAILS
