"""How often somebody may guess: counted before a guess is looked at, and refused without a count.

A window lasts 15 minutes and takes five guesses, so that in any 15 minutes, which meet two windows
at most, no more than ten are looked at. When the cache is away nothing can be counted, and so
nobody logs in: `Cache.hit` raises `UnavailableError`. When it has forgotten what it counted, which
a process can tell from what it was told before, its new count is worth nothing, and guesses are
refused until the window is over. A process that was told nothing learns from the audit log how many
guesses of strangers were answered before: each is noted there before it is answered. One that was
under way when the cache was emptied is noted too late for that, and is not answered.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from seawall.core.errors import UnavailableError
from seawall.core.time import iso
from seawall.db.cache import Cache
from seawall.db.cache.values import Usage
from seawall.identity.errors import TooManyRequestsError

GUESSES, GUESS_SECONDS = 5, 15 * 60
MAILS, MAIL_SECONDS = 3, 60 * 60
REMEMBERED = 10_000
"""Counts that a process keeps in mind, the newest."""
CLOCKS = timedelta(seconds=1)
"""How far the clocks of the processes and of the database may be apart."""
Noted = Callable[[datetime, datetime], Awaitable[int]]
"""How many guesses at an account were noted from one instant to before another."""
_FORGOTTEN = 1 << 62
_NEVER = (datetime.min.replace(tzinfo=UTC), 0)


def account_of(email: str) -> str:
    """Name an account without its address, whether or not there is one."""
    return hashlib.sha256(email.strip().lower().encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Counts:
    """What a process was told of counts: one that is asked for later is higher, or all was lost."""

    _told: OrderedDict[tuple[str, str], tuple[datetime, int]] = field(default_factory=OrderedDict)

    async def hit(self, cache: Cache, account: str, endpoint: str) -> Usage:
        """Count a guess; of what the cache has forgotten the count is without end.

        Raises:
            UnavailableError: the cache is away.
        """
        name = (account, endpoint)
        # Looked at before the cache is asked: answers to several at once come in any order.
        ends, before = self._told.get(name, _NEVER)
        usage = await cache.hit(account, endpoint, GUESS_SECONDS)
        count = usage.count
        if usage.resets_at == ends and count <= before:
            count = _FORGOTTEN
        ends, highest = self._told.pop(name, _NEVER)
        highest = highest if usage.resets_at == ends else 0
        if highest == _FORGOTTEN:
            count = _FORGOTTEN
        self._told[name] = (usage.resets_at, max(count, highest))
        self._forget(usage.resets_at)
        return Usage(count, usage.resets_at)

    def _forget(self, ends: datetime) -> None:
        """Forget windows that were over, and the oldest of very many."""
        while self._told:
            oldest = next(iter(self._told.values()))[0]
            if len(self._told) <= REMEMBERED and oldest >= ends:
                return
            self._told.popitem(last=False)


async def count_guess(cache: Cache, counts: Counts, account: str, device: str) -> None:
    """Count one guess at an account's password from one of its known devices, or places.

    Raises:
        TooManyRequestsError: there were too many; this one is not to be looked at.
        UnavailableError: the cache is away.
    """
    _require_few(await counts.hit(cache, account, f"login:{device}"))


async def count_stranger(cache: Cache, counts: Counts, account: str, noted: Noted) -> datetime:
    """Count one guess at an account's password by somebody of whom nothing is known.

    Returns since when the cache remembers: when that has changed by the time at which the guess was
    looked at and noted, what came of it is not to be told: `require_remembered`.

    Raises:
        TooManyRequestsError: there were too many; this one is not to be looked at.
        UnavailableError: the cache is away.
    """
    usage = await counts.hit(cache, account, "login:unknown")
    _require_few(usage)
    # Asked after the count, so that a count of before is not taken for one of since then.
    since = await cache.remembers_since()
    begun = usage.resets_at - timedelta(seconds=GUESS_SECONDS)
    if since >= begun:
        _require_few(Usage(usage.count + await noted(begun, since + CLOCKS), usage.resets_at))
    return since


async def require_remembered(cache: Cache, since: datetime) -> None:
    """Check that the cache has not been emptied since a guess was counted.

    Raises:
        UnavailableError: it was, or is away.
    """
    if await cache.remembers_since() != since:
        raise UnavailableError("The cache was emptied just now.", hint="Try again.")


def _require_few(usage: Usage) -> None:
    if usage.count > GUESSES:
        raise TooManyRequestsError(
            f"There were too many attempts at this account. Try again at {iso(usage.resets_at)}.",
            usage.resets_at,
            hint="A device that you have logged in from before can still log in.",
        )


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
