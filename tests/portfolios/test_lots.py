"""Which lots leave, and with what basis."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.core.money import CONTEXT, QUANTUM, exact
from seawall.portfolios.lots import LotBook, leaving
from seawall.portfolios.schemas import Lot, LotMethod

START = datetime(2024, 1, 1, tzinfo=UTC)

# Not below a millionth of a millionth, so that the cost of one unit can be stored.
amounts = st.integers(10**6, 10**25).map(lambda units: CONTEXT.multiply(Decimal(units), QUANTUM))


def book(method: str, *lots: tuple[str, str]) -> LotBook:
    """Build a book of lots given by quantity and basis, a day apart."""
    built = LotBook(LotMethod(method))
    for day, (quantity, basis) in enumerate(lots):
        built.add(Lot(START + timedelta(days=day), Decimal(quantity), Decimal(basis)))
    return built


@pytest.mark.parametrize(
    ("method", "removed"), [("fifo", 2000), ("lifo", 8000), ("hifo", 8000), ("average", 3750)]
)
def test_recaps_example(method: str, removed: int) -> None:
    """Source: Recap, "Cost basis methods" (US guide); the average is (2000 + 5000 + 8000) / 4."""
    held = book(method, ("1", "2000"), ("2", "5000"), ("1", "8000"))
    assert held.remove(Decimal(1)) == removed


@pytest.mark.parametrize(
    ("method", "removed"), [("fifo", 31_000), ("lifo", 42_000), ("hifo", 45_000)]
)
def test_accointings_example(method: str, removed: int) -> None:
    """Source: Accointing, "Crypto cost basis": five purchases of 1 BTC, of which three leave."""
    held = book(method, *(("1", cost) for cost in ("10000", "12000", "9000", "15000", "18000")))
    assert held.remove(Decimal(3)) == removed


@pytest.mark.parametrize(
    ("method", "costs", "left"),
    [
        ("fifo", (1970, 2600), 1420),
        ("lifo", (2045, 2685), 1260),
        ("average", (2000, 2622), 1368),
        # By hand: 15 x 106 + 5 x 91; then 10 x 119 + 13 x 115.
        ("hifo", (2045, 2685), 1260),
    ],
)
def test_the_textbooks_example(method: str, costs: tuple[int, int], left: int) -> None:
    """Source: Wild, "Financial Accounting", perpetual inventory of the Trekking example."""
    held = book(method, ("10", "910"), ("15", "1590"))
    first = held.remove(Decimal(20))
    held.add(Lot(START + timedelta(days=5), Decimal(20), Decimal(2300)))
    held.add(Lot(START + timedelta(days=6), Decimal(10), Decimal(1190)))
    second = held.remove(Decimal(23))
    assert [first, second, held.quantity, held.cost_basis] == [*costs, 12, left]


def test_hifo_takes_the_oldest_of_equal_unit_costs() -> None:
    held = book("hifo", ("1", "10"), ("3", "60"), ("1", "20"), ("2", "40"))
    assert held.remove(Decimal(3)) == 60
    assert [lot.acquired.day for lot in held.lots()] == [1, 3, 4]


def test_lots_are_listed_oldest_first_whatever_the_method() -> None:
    for method in ("fifo", "lifo", "hifo"):
        held = book(method, ("1", "10"), ("1", "30"), ("1", "20"))
        assert [lot.cost_basis for lot in held.lots()] == [10, 30, 20]


def test_the_average_pool_keeps_its_oldest_date_until_it_is_empty() -> None:
    pool = book("average", ("1", "10"), ("1", "20"))
    assert pool.lots() == (Lot(START, Decimal(2), Decimal(30)),)
    pool.remove(Decimal(2))
    assert pool.lots() == ()
    later = Lot(START + timedelta(days=9), Decimal(1), Decimal(5))
    pool.add(later)
    assert pool.lots() == (later,)


def test_rounding_stays_in_the_lot_and_leaves_with_its_last_part() -> None:
    thirds = book("fifo", ("3", "100"))
    removed = [thirds.remove(Decimal(1)) for _ in range(3)]
    assert [str(each) for each in removed] == [
        "33.333333333333333333",
        "33.333333333333333334",
        "33.333333333333333333",
    ]
    assert thirds.cost_basis == 0


def test_a_tie_in_the_last_digit_goes_to_the_even_one() -> None:
    assert book("fifo", ("2", "0.000000000000000001")).remove(Decimal(1)) == 0
    assert book("fifo", ("2", "0.000000000000000003")).remove(Decimal(1)) == 2 * QUANTUM


@pytest.mark.parametrize("method", list(LotMethod))
def test_all_38_digits_are_kept_whatever_the_callers_context(method: str) -> None:
    wide = "12345678901234567890.123456789012345678"
    held = book(method, (wide, wide), ("0.000000000000000001", "0.000000000000000001"))
    assert held.quantity == held.cost_basis == Decimal("12345678901234567890.123456789012345679")
    assert held.remove(Decimal(wide)) == Decimal(wide)
    assert held.quantity == held.cost_basis == QUANTUM


def test_refuses_more_than_there_is() -> None:
    held = book("fifo", ("1", "10"))
    with pytest.raises(InvalidError, match=r"cannot take 1\.5 out of 1"):
        held.remove(Decimal("1.5"))
    assert held.lots() == (Lot(START, Decimal(1), Decimal(10)),)


@pytest.mark.parametrize(
    ("quantity", "basis"), [("9e19", "1"), ("1", "9e19"), ("0.000000000000000001", "100")]
)
@pytest.mark.parametrize("method", list(LotMethod))
def test_refuses_to_grow_past_what_can_be_stored(method: str, quantity: str, basis: str) -> None:
    held = book(method, ("5e19", "5e19"))
    with pytest.raises(InvalidError, match="out of range"):
        held.add(Lot(START, Decimal(quantity), Decimal(basis)))
    assert held.lots() == (Lot(START, Decimal("5e19"), Decimal("5e19")),)


@given(st.sampled_from(LotMethod), st.data())
def test_nothing_is_lost_to_rounding(method: LotMethod, data: st.DataObject) -> None:
    held, came, went = LotBook(method), Decimal(0), Decimal(0)
    with exact():
        for _ in range(data.draw(st.integers(1, 12))):
            if held.quantity and data.draw(st.booleans()):
                units = int(held.quantity / QUANTUM)
                went += held.remove(data.draw(st.integers(1, units)) * QUANTUM)
            else:
                lot = Lot(START, data.draw(amounts), data.draw(amounts))
                held.add(lot)
                came += lot.cost_basis
        lots = held.lots()
        assert came == went + held.cost_basis
        assert sum(lot.cost_basis for lot in lots) == held.cost_basis
        assert sum(lot.quantity for lot in lots) == held.quantity
        assert all(lot.quantity > 0 and lot.cost_basis >= 0 for lot in lots)
        assert went + (held.remove(held.quantity) if held.quantity else 0) == came


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), st.data())
def test_no_method_takes_a_higher_basis_than_hifo(
    lots: list[tuple[Decimal, Decimal]], data: st.DataObject
) -> None:
    books = {method: LotBook(method) for method in LotMethod}
    for held in books.values():
        for quantity, basis in lots:
            held.add(Lot(START, quantity, basis))
    units = int(CONTEXT.divide(books[LotMethod.HIFO].quantity, QUANTUM))
    quantity = CONTEXT.multiply(data.draw(st.integers(1, units)), QUANTUM)
    removed = {method: held.remove(quantity) for method, held in books.items()}
    # One rounding a lot at most.
    highest = CONTEXT.add(removed[LotMethod.HIFO], QUANTUM)
    assert all(basis <= highest for basis in removed.values())


@given(
    st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5),
    st.fractions(0, 1),
    st.sampled_from(list(LotMethod)),
)
def test_the_lots_that_would_leave_are_those_that_do(
    lots: list[tuple[Decimal, Decimal]], share: Fraction, method: LotMethod
) -> None:
    held = book(method, *((str(quantity), str(basis)) for quantity, basis in lots))
    with exact():
        units = held.quantity / QUANTUM
        wanted = Decimal(int(units * share.numerator) // share.denominator) * QUANTUM
        parts = leaving(held.queue(), wanted)
        assert sum(part.quantity for part in parts) == wanted
        before = {lot.acquired: lot for lot in held.lots()}
        assert sum(part.cost_basis for part in parts) == held.remove(wanted)
        after = {lot.acquired: lot for lot in held.lots()}
        for part in parts:
            left = after.get(part.acquired)
            remains = left.cost_basis if left else 0
            assert before[part.acquired].cost_basis - remains == part.cost_basis


def test_more_than_the_lots_hold_cannot_leave() -> None:
    with pytest.raises(InvalidError, match="than the lots hold"):
        leaving((), Decimal(1))
