"""Guesses are counted, and a cache that has forgotten them lets nobody guess anew."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from seawall.core.errors import UnavailableError
from seawall.core.settings import Settings
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.identity import attempts
from seawall.identity.attempts import (
    GUESSES,
    Counts,
    account_of,
    count_guess,
    count_stranger,
    require_remembered,
)
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

    async def guess(
        self, counts: Counts, account: str = ADA, device: str | None = None, answered: int = 0
    ) -> bool:
        """Guess; tell whether the guess may be looked at, when so many were noted before."""

        async def noted(begin: datetime, end: datetime) -> int:
            assert begin <= self.moment < end <= self.moment + timedelta(minutes=15)
            return answered

        try:
            if device is None:
                await count_stranger(self.cache, counts, account, noted)
            else:
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


async def test_who_was_told_nothing_counts_what_was_answered_before() -> None:
    counted = await _counted()
    first, second = Counts(), Counts()
    assert [await counted.guess(first) for _ in range(3)] == [True] * 3
    await counted.forget()
    looked_at = [await counted.guess(second, answered=3) for _ in range(9)]
    assert looked_at == [True] * 2 + [False] * 7
    assert await counted.guess(second, BOB)
    counted.moment += timedelta(minutes=15)
    # In a window that begins later the cache is as good as ever.
    looked_at = [await counted.guess(second, answered=3) for _ in range(9)]
    assert sum(looked_at) == GUESSES


async def test_what_was_counted_before_the_cache_was_emptied_is_not_told() -> None:
    counted = await _counted()
    both = await asyncio.gather(*(counted.cache.remembers_since() for _ in range(9)))
    assert len(set(both)) == 1
    counted.moment += timedelta(seconds=1)
    await require_remembered(counted.cache, both[0])
    await counted.forget()
    with pytest.raises(UnavailableError, match="emptied just now"):
        await require_remembered(counted.cache, both[0])


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "REMEMBERED", 10)
    counted, counts = await _counted(), Counts()
    for number in range(30):
        assert await counted.guess(counts, account_of(f"{number}@example.com"))
    assert len(counts._told) == 10
    counted.moment += timedelta(minutes=15)
    assert await counted.guess(counts)
    assert len(counts._told) == 1
