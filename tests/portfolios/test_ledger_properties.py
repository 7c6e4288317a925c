"""What holds for every history: nothing appears, and nothing is lost.

The histories and their expected sums are made with whole numbers of the smallest unit, so that
they share no arithmetic with what they test.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.core.money import exact
from seawall.portfolios.ledger import replay, sift
from seawall.portfolios.schemas import LotMethod, PortfolioState, Transaction, TransactionType

START = datetime(2024, 1, 1, tzinfo=UTC)
UNIT = 10**18
ASSETS = ("BTC", "ETH")
COMES = ("buy", "deposit", "reward")
LEAVES = ("sell", "withdrawal", "fee")
STAYS = ("transfer", "stake", "unstake")

methods = st.sampled_from(LotMethod)


def amount(units: int) -> Decimal:
    with exact():
        return Decimal(units).scaleb(-18)


def units(value: Decimal | None) -> int:
    """Return a stored amount in its smallest unit, exactly."""
    scaled = Fraction(value or 0) * UNIT
    assert scaled.denominator == 1
    return scaled.numerator


@dataclass
class History:
    """Transactions that can have happened, with sums kept beside them in whole units."""

    cash: int | None = None
    entries: list[Transaction] = field(default_factory=list)
    came: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))
    left: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))
    staked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))
    basis_in: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))
    proceeds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))
    fees: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0))

    def free(self, asset: str) -> int:
        return self.came[asset] - self.left[asset] - self.staked[asset]

    def add(self, kind: str, asset: str, quantity: int, price: int | None, fee: int) -> None:
        worth = round(Fraction(quantity * (price or 0), UNIT))
        if self.cash is not None:
            self.cash += {"buy": -worth, "sell": worth}.get(kind, 0) - fee
        if kind in COMES:
            self.came[asset] += quantity
            self.basis_in[asset] += worth + (0 if kind == "reward" else fee)
        if kind in LEAVES:
            self.left[asset] += quantity
        if kind == "sell":
            self.proceeds[asset] += worth - fee
        if kind not in {"buy", "sell", "deposit"}:
            self.fees[asset] += fee
        self.staked[asset] += {"stake": quantity, "unstake": -quantity}.get(kind, 0)
        self.append(kind, asset, quantity, price, fee)

    def append(self, kind: str, asset: str, quantity: int, price: int | None, fee: int) -> None:
        # Two entries share each time, so that their order of entry counts.
        self.entries.append(
            Transaction(
                time=START + timedelta(days=len(self.entries) // 2),
                type=TransactionType(kind),
                asset=asset,
                quantity=amount(quantity),
                price_usd=None if price is None else amount(price),
                fee_usd=amount(fee),
                position=len(self.entries),
            )
        )

    def liquidate(self) -> None:
        for asset in ASSETS:
            if self.staked[asset]:
                self.add("unstake", asset, self.staked[asset], None, 0)
            if self.free(asset):
                self.add("sell", asset, self.free(asset), 7 * UNIT, 0)


@st.composite
def histories(draw: st.DrawFn) -> History:
    history = History()
    if draw(st.booleans()):
        history.cash = 10**15 * UNIT
        history.append("deposit", "USD", history.cash, None, 0)
    for _ in range(draw(st.integers(1, 16))):
        asset = draw(st.sampled_from(ASSETS))
        kinds: tuple[str, ...] = COMES
        if history.free(asset):
            kinds = COMES + LEAVES + STAYS[:2]
        if history.staked[asset]:
            kinds += ("unstake",)
        kind = draw(st.sampled_from(kinds))
        most = history.staked[asset] if kind == "unstake" else history.free(asset)
        # From a hundred-millionth up to ten million, or what there is, down to its smallest unit.
        quantity = draw(st.integers(10**10, 10**25) if kind in COMES else st.integers(1, most))
        price = draw(st.integers(0, 10**23))
        priced = kind in {"buy", "sell", "deposit"} or draw(st.booleans())
        history.add(kind, asset, quantity, price if priced else None, draw(st.integers(0, 10**20)))
    return history


def basis_out(found: PortfolioState, history: History, asset: str) -> int:
    """Add up the basis that left: sold, withdrawn, or spent as a fee."""
    (held,) = (each for each in found.holdings if each.asset == asset)
    sold = history.proceeds[asset] - units(held.realised_profit)
    spent = units(held.expenses) - history.fees[asset]
    return sold + units(held.withdrawn_basis) + spent


@given(histories(), methods)
def test_quantities_are_conserved(history: History, method: LotMethod) -> None:
    for held in replay(history.entries, method).holdings:
        expected = history.came[held.asset] - history.left[held.asset]
        assert units(held.quantity) == expected
        assert sum(units(lot.quantity) for lot in held.lots) == expected
        assert units(held.staked) == history.staked[held.asset]
        assert units(held.free) == history.free(held.asset)


@given(histories(), methods)
def test_cost_basis_is_conserved(history: History, method: LotMethod) -> None:
    found = replay(history.entries, method)
    for held in found.holdings:
        out = basis_out(found, history, held.asset)
        assert history.basis_in[held.asset] == out + units(held.cost_basis)
        assert sum(units(lot.cost_basis) for lot in held.lots) == units(held.cost_basis)
        assert all(lot.quantity > 0 and lot.cost_basis >= 0 for lot in held.lots)


@given(histories(), methods)
def test_cash_is_conserved(history: History, method: LotMethod) -> None:
    cash = replay(history.entries, method).cash
    assert (None if cash is None else units(cash)) == history.cash


@given(histories(), methods)
def test_the_books_balance(history: History, method: LotMethod) -> None:
    """What is there equals what came in, plus what was earned, less what was spent."""
    found = replay(history.entries, method)
    came = sum(
        units(flow.usd)
        + max(0, round(Fraction(units(flow.quantity) * units(flow.price_usd), UNIT)))
        for flow in found.flows
    )
    totals = found.totals
    earned = units(totals.realised_profit) + units(totals.reward_usd) - units(totals.expenses)
    there = units(found.cash) + units(totals.cost_basis)
    assert there == came + earned - units(totals.withdrawn_basis)


@given(histories())
def test_after_selling_everything_all_methods_agree(history: History) -> None:
    history.liquidate()
    outcomes = set()
    for method in LotMethod:
        found = replay(history.entries, method)
        assert all(held.quantity == held.cost_basis == 0 for held in found.holdings)
        assert all(held.lots == () for held in found.holdings)
        totals = found.totals
        # Basis that was withdrawn or spent as a fee is not in the profit, so it is put back.
        outcomes.add(
            units(totals.realised_profit) - units(totals.expenses) - units(totals.withdrawn_basis)
        )
    assert len(outcomes) == 1


@given(histories(), methods, st.data())
def test_a_transfer_changes_nothing_wherever_it_stands(
    history: History, method: LotMethod, data: st.DataObject
) -> None:
    after = data.draw(st.integers(1, len(history.entries)))
    before = history.entries[:after]
    holding = [held for held in replay(before, method).holdings if held.quantity]
    for held in holding:
        moved = replace(before[-1], type=TransactionType.TRANSFER, asset=held.asset,
                        quantity=held.quantity, fee_usd=Decimal(0))  # fmt: skip
        with_transfer = [*before, moved, *history.entries[after:]]
        assert replay(with_transfer, method) == replay(history.entries, method)


@given(histories(), methods, st.randoms(use_true_random=False))
def test_the_order_in_which_entries_are_given_does_not_matter(
    history: History, method: LotMethod, random: Random
) -> None:
    shuffled = list(history.entries)
    random.shuffle(shuffled)
    assert replay(shuffled, method) == replay(history.entries, method)


@given(histories(), methods, st.integers(-1, 10))
def test_as_of_is_the_history_up_to_then(history: History, method: LotMethod, day: int) -> None:
    end = START + timedelta(days=day)
    known = [each for each in history.entries if each.time <= end]
    assert replay(history.entries, method, end) == replay(known, method)


@given(histories(), methods)
def test_movements_add_up_to_what_is_held(history: History, method: LotMethod) -> None:
    found = replay(history.entries, method)
    summed = dict.fromkeys((*ASSETS, "USD"), 0)
    for moved in found.movements:
        for asset, change in moved.changes:
            summed[asset] += units(change)
    held = {each.asset: units(each.quantity) for each in found.holdings}
    assert summed == {**dict.fromkeys(ASSETS, 0), **held, "USD": units(found.cash)}


@given(histories(), methods, st.sampled_from(ASSETS))
def test_one_unit_too_many_is_refused(history: History, method: LotMethod, asset: str) -> None:
    valid = list(history.entries)
    history.append("sell", asset, history.free(asset) + 1, UNIT, 0)
    with pytest.raises(InvalidError, match=f"sell of .* {asset} on .* is held"):
        replay(history.entries, method)
    assert sift(valid, method) == (replay(valid, method), [])
    state, refused = sift(history.entries, method)
    assert state == replay(valid, method)
    assert [each for each, _ in refused] == history.entries[-1:]
