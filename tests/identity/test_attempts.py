"""Guesses are counted, and a cache that has forgotten them lets nobody guess anew."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from seawall.core.settings import Settings
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.identity import attempts
from seawall.identity.attempts import GUESSES, Counts, account_of, count_guess
from seawall.identity.errors import TooManyRequestsError

ADA, BOB = account_of("ada@example.com"), account_of("bob@example.com")


class Counted:
    """A cache in the process, whose clock and content are the test's."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.cache: Cache

    async def forget(self) -> None:
        """Begin as a server does that was emptied."""
        self.cache = Cache(await connect(Settings()), "test", clock=lambda: self.moment)

    async def guess(self, counts: Counts, account: str = ADA, device: str | None = None) -> bool:
        """Guess; tell whether the guess may be looked at."""
        try:
            await count_guess(self.cache, counts, account, device)
        except TooManyRequestsError:
            return False
        return True


async def _counted() -> Counted:
    made = Counted()
    await made.forget()
    return made


async def test_five_at_once_are_looked_at() -> None:
    counted, counts = await _counted(), Counts()
    looked_at = await asyncio.gather(*(counted.guess(counts) for _ in range(50)))
    assert sum(looked_at) == GUESSES
    assert await counted.guess(counts, BOB)
    counted.moment += timedelta(minutes=15)
    assert await counted.guess(counts)


@pytest.mark.parametrize("before", [1, 3, 5])
async def test_what_the_cache_forgot_is_not_guessed_anew(before: int) -> None:
    counted, counts = await _counted(), Counts()
    for _ in range(before):
        assert await counted.guess(counts)
    await counted.forget()
    assert not [each for each in range(30) if await counted.guess(counts)]
    # Others are not shut out, nor its owner with a device that was not used since.
    assert await counted.guess(counts, BOB)
    assert await counted.guess(counts, device="known")
    counted.moment += timedelta(minutes=15)
    assert await counted.guess(counts)


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "REMEMBERED", 10)
    counted, counts = await _counted(), Counts()
    for number in range(30):
        assert await counted.guess(counts, account_of(f"{number}@example.com"))
    assert len(counts._told) == 10
    counted.moment += timedelta(minutes=15)
    assert await counted.guess(counts)
    assert len(counts._told) == 1
