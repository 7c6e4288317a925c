"""What was voided or corrected comes back with its file only where it should."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from seawall.core.errors import ConflictError, NotFoundError
from seawall.portfolios.browse.store import find_transaction
from seawall.portfolios.importers.csv import fingerprint
from seawall.portfolios.tables import TransactionRow
from seawall.portfolios.voiding.history import lock_history
from seawall.portfolios.voiding.void import (
    void_import,
)

Books = Any  # what the fixture is
START = datetime(2024, 1, 1, tzinfo=UTC)


async def test_importing_again_brings_back_only_what_it_should(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, *books.buys)
    _, bought, sold = await books.rows(portfolio)
    await books.void(portfolio, sold)
    cheap = await books.correct(portfolio, bought, price_usd="90")
    # The file still has what was voided and what was corrected: neither comes back by itself.
    assert await books.take(portfolio, *books.buys) == (0, 2, 1)
    mended = "2024-01-01,buy,BTC,2,90,1,"
    assert await books.take(portfolio, books.buys[0], mended) == (0, 2, 0)
    assert await books.take(portfolio, *books.buys, again=True) == (1, 2, 0)
    assert await books.take(portfolio, *books.buys) == (0, 3, 0)
    # What replaced the corrected one is voided: then the corrected one is, too.
    _, now, back = await books.rows(portfolio)
    assert now.id == cheap
    await books.void(portfolio, now, back)
    assert await books.take(portfolio, *books.buys) == (0, 1, 2)
    assert await books.take(portfolio, *books.buys, again=True) == (2, 1, 0)


async def test_an_import_is_voided_whole_and_can_be_imported_again(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, "2023-01-01,buy,ETH,1,10,,")
    await books.take(portfolio, *books.buys)
    _, deposit, bought, sold = await books.rows(portfolio)
    await books.correct(portfolio, bought, price_usd="90")
    await books.void(portfolio, sold)
    async with books.transaction() as session:
        assert deposit.id is not None
        record = await find_transaction(session, portfolio.id, deposit.id)
        assert record is not None
        assert record.imported_at is not None
        locked = await lock_history(session, portfolio.id)
        assert await void_import(session, locked, record.imported_at, "the wrong file") == 2
        with pytest.raises(ConflictError, match="is voided already"):
            await void_import(session, locked, record.imported_at)
        with pytest.raises(NotFoundError, match="Nothing was imported into"):
            await void_import(session, locked, START)
    assert [each.asset for each in await books.rows(portfolio)] == ["ETH"]
    # All of it, what was voided or corrected before among it.
    assert await books.take(portfolio, *books.buys) == (3, 0, 0)


async def test_an_import_that_is_undone_leaves_what_was_said_before_it(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, *books.buys)
    await books.void(portfolio, (await books.rows(portfolio))[2])
    assert await books.take(portfolio, *books.buys, again=True) == (1, 2, 0)
    await books.undo(portfolio, (await books.rows(portfolio))[2])
    # The duplicate that was voided by hand does not come back by itself.
    assert await books.take(portfolio, *books.buys) == (0, 2, 1)


async def test_what_took_the_place_of_another_keeps_it_when_its_own_import_goes(
    books: Books,
) -> None:
    portfolio = await books.make()
    one, two = "2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,90,,"
    await books.take(portfolio, one)
    await books.take(portfolio, two)
    first, second = await books.rows(portfolio)
    await books.correct(portfolio, first, price_usd="90")
    await books.correct(portfolio, second, price_usd="100")
    await books.undo(portfolio, (await books.rows(portfolio))[1])
    assert await books.take(portfolio, one) == (0, 1, 0)


async def test_notes_do_not_make_another_row_of_one(books: Books) -> None:
    portfolio = await books.make()
    twice = ("2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,100,,")
    await books.take(portfolio, *twice)
    first, second = await books.rows(portfolio)
    await books.void(portfolio, first)
    await books.correct(portfolio, second, notes="mended")
    assert await books.take(portfolio, *twice) == (0, 1, 1)
    assert await books.take(portfolio, *twice, again=True) == (1, 1, 0)


async def test_equal_rows_are_two_and_a_correction_to_an_equal_one_is_another(
    books: Books,
) -> None:
    portfolio = await books.make()
    twice = ("2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,100,,")
    await books.take(portfolio, *twice, "2024-01-01,buy,BTC,1,90,,")
    third = (await books.rows(portfolio))[2]
    await books.correct(portfolio, third, price_usd="100")
    async with books.transaction() as session:
        names = await session.scalars(
            select(TransactionRow.external_id).where(
                TransactionRow.portfolio_id == portfolio.id, TransactionRow.voided_at.is_(None)
            )
        )
        assert set(names) == {
            fingerprint(replace(third, price_usd=Decimal(100)), n) for n in (1, 2, 3)
        }
    assert await books.take(portfolio, *twice, twice[0]) == (0, 3, 0)
