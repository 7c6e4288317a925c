"""Guesses are counted where nothing is forgotten, whatever becomes of the cache."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from seawall.core.settings import Settings
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.identity.attempts import GUESSES, STRANGER, account_of, count_guess
from seawall.identity.desk import Desk
from seawall.identity.errors import TooManyRequestsError
from tests.identity.conftest import NOON, Premises

ADA, BOB = account_of("ada@example.com"), account_of("bob@example.com")
WINDOW = timedelta(minutes=15)


class Guesser:
    """Guesses in processes that each have a cache of their own, whose clock is the test's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.moment: datetime = NOON

    async def begin(self) -> None:
        """Begin as a process does, or as a cache does that was emptied."""
        cache = Cache(await connect(Settings()), "test", clock=lambda: self.moment)
        self._desk = replace(self._desk, cache=cache)

    async def guess(self, account: str = ADA, kind: str = STRANGER) -> bool:
        """Guess; tell whether the guess may be looked at."""
        try:
            await count_guess(self._desk, account, kind)
        except TooManyRequestsError:
            return False
        return True


@pytest.fixture
async def guesser(premises: Premises) -> Guesser:
    """Somebody who guesses."""
    made = Guesser(premises.desk)
    await made.begin()
    return made


async def test_five_at_once_are_looked_at(guesser: Guesser) -> None:
    looked_at = await asyncio.gather(*(guesser.guess() for _ in range(50)))
    assert sum(looked_at) == GUESSES
    assert await guesser.guess(BOB)
    assert await guesser.guess(kind="known")
    guesser.moment += WINDOW
    assert sum([await guesser.guess() for _ in range(9)]) == GUESSES


@pytest.mark.parametrize("before", [1, 3, 5])
async def test_what_the_cache_forgot_is_counted_on(guesser: Guesser, before: int) -> None:
    for kind in (STRANGER, "here"):
        assert all([await guesser.guess(kind=kind) for _ in range(before)])
    looked_at = 0
    for _ in range(6):
        await guesser.begin()
        looked_at += sum([await guesser.guess() for _ in range(2)])
    assert looked_at == GUESSES - before
    # What is counted apart is too; others are not shut out.
    assert sum([await guesser.guess(kind="here") for _ in range(9)]) == GUESSES - before
    assert await guesser.guess(BOB)
    guesser.moment += WINDOW
    assert await guesser.guess()


async def test_a_clock_that_is_behind_begins_no_window_of_its_own(guesser: Guesser) -> None:
    assert all([await guesser.guess() for _ in range(3)])
    guesser.moment -= timedelta(seconds=1)
    assert sum([await guesser.guess() for _ in range(9)]) == GUESSES - 3
    guesser.moment += timedelta(seconds=1)
    assert not await guesser.guess()


async def test_what_was_guessed_at_is_not_to_be_told(guesser: Guesser, location: Location) -> None:
    assert await guesser.guess()
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.connect() as connection:
        (row,) = await connection.execute(text("SELECT * FROM guesses"))
    await admin.dispose()
    assert (row.guessed, row.resets_at) == (1, NOON + WINDOW)
    assert len(row.what_hash) == 32
    assert ADA not in str(row)
    assert row.what_hash != bytes.fromhex(ADA)
