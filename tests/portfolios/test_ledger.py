"""What each type of transaction does to holdings, cash and profit."""

from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from seawall.core.errors import InvalidError
from seawall.portfolios.ledger import Ledger, in_order, replay, sift
from seawall.portfolios.schemas import (
    Holding,
    Lot,
    LotMethod,
    PortfolioState,
    Transaction,
    TransactionType,
)

START = datetime(2024, 1, 1, tzinfo=UTC)


def history(text: str) -> list[Transaction]:
    """Read lines of `day type asset quantity [price or -] [fee]`."""
    entries = []
    for position, line in enumerate(text.strip().splitlines()):
        words = line.split()
        day, kind, asset, quantity, price, fee = words + ["-", "0"][len(words) - 4 :]
        entries.append(
            Transaction(
                time=START + timedelta(days=int(day)),
                type=TransactionType(kind),
                asset=asset,
                quantity=Decimal(quantity),
                price_usd=None if price == "-" else Decimal(price),
                fee_usd=Decimal(fee),
                position=position,
            )
        )
    return entries


def state(text: str, method: str = "fifo") -> PortfolioState:
    return replay(history(text), LotMethod(method))


def only(found: PortfolioState) -> Holding:
    (holding,) = found.holdings
    return holding


def refusal(text: str) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        state(text)
    return caught.value


@pytest.mark.parametrize(
    ("method", "profit", "left"),
    [("fifo", 1540, 1420), ("lifo", 1380, 1260), ("hifo", 1380, 1260), ("average", 1488, 1368)],
)
def test_the_textbooks_example(method: str, profit: int, left: int) -> None:
    """Source: Wild, "Financial Accounting", Trekking: sales of 2660 and 3450 less their costs."""
    found = state(
        """
        0 buy BTC 10 91
        2 buy BTC 15 106
        13 sell BTC 20 133
        16 buy BTC 20 115
        27 buy BTC 10 119
        30 sell BTC 23 150
        """,
        method,
    )
    held = only(found)
    assert [held.realised_profit, held.quantity, held.cost_basis] == [profit, 12, left]


def test_fees_belong_to_the_basis_of_a_buy_and_come_off_the_proceeds_of_a_sell() -> None:
    """Source: Koinly, "Cost basis": 0.5 BTC for 30,000 at 0.5 %, sold for 32,000 at 0.5 %."""
    bought = state("0 buy BTC 0.5 60000 150")
    assert only(bought).cost_basis == 30_150
    assert only(bought).average_cost == 60_300
    sold = only(state("0 buy BTC 0.5 60000 150\n1 sell BTC 0.5 64000 160"))
    assert sold.realised_profit == 31_840 - 30_150
    assert [sold.quantity, sold.cost_basis, sold.expenses] == [0, 0, 0]


def test_a_transfer_changes_nothing_but_its_fee() -> None:
    before = only(state("0 buy BTC 2 100"))
    after = only(state("0 buy BTC 2 100\n1 transfer BTC 1.5 - 3"))
    assert after.lots == before.lots == (Lot(START, Decimal(2), Decimal(200)),)
    assert [after.quantity, after.cost_basis, after.expenses] == [2, 200, 3]


def test_staked_coins_may_be_transferred() -> None:
    assert only(state("0 buy BTC 2 100\n1 stake BTC 2\n2 transfer BTC 2")).staked == 2


def test_staked_coins_are_held_but_not_free() -> None:
    found = only(state("0 buy ETH 10 100\n1 stake ETH 6 - 1\n2 unstake ETH 2 - 1"))
    assert [found.quantity, found.staked, found.free, found.cost_basis] == [10, 4, 6, 1000]
    assert found.expenses == 2


def test_a_reward_costs_what_it_was_worth_or_nothing() -> None:
    priced = only(state("0 reward ETH 2 50 1"))
    assert [priced.cost_basis, priced.reward_usd, priced.reward_quantity] == [100, 100, 2]
    assert priced.expenses == 1
    found = state("0 reward SOL 2\n1 reward ETH 1\n2 reward BTC 1 5")
    assert [each.cost_basis for each in found.holdings] == [5, 0, 0]
    assert found.notes == ("Rewards without a price have no cost basis: ETH, SOL.",)


def test_a_fee_in_coins_spends_them_at_their_cost() -> None:
    found = only(state("0 buy ETH 10 100\n1 fee ETH 0.5 900"))
    assert [found.quantity, found.cost_basis] == [Decimal("9.5"), 950]
    assert [found.expenses, found.realised_profit] == [50, 0]


def test_a_deposit_of_coins_brings_its_basis_and_a_withdrawal_takes_it_along() -> None:
    found = only(state("0 deposit BTC 2 100 10\n1 withdrawal BTC 1 500 4"))
    assert [found.quantity, found.cost_basis, found.withdrawn_basis] == [1, 105, 105]
    assert [found.realised_profit, found.expenses] == [0, 4]


def test_cash_pays_for_everything_once_it_is_recorded() -> None:
    found = state(
        """
        0 deposit USD 1000 - 1
        1 buy BTC 2 100 5
        2 sell BTC 1 150 2
        3 transfer BTC 1 - 3
        4 reward USD 10
        5 fee USD 4
        6 transfer USD 900 - 1
        7 withdrawal USD 100 1 2
        """
    )
    assert found.cash == 1000 - 1 - 205 + 148 - 3 + 10 - 4 - 1 - 102
    assert found.totals.expenses == 1 + 3 + 4 + 1 + 2
    assert found.totals.reward_usd == 10
    assert [flow.kind for flow in found.flows] == ["deposit", "withdrawal"]
    assert [flow.usd for flow in found.flows] == [1000, -100]
    assert found.notes == ()


def test_without_cash_trades_are_paid_from_and_to_outside() -> None:
    found = state("0 buy BTC 2 100 5\n1 sell BTC 1 150 2\n2 transfer BTC 1 - 3")
    assert found.cash is None
    assert [flow.usd for flow in found.flows] == [205, -148, 3]
    assert found.notes[0].startswith("No USD is recorded")


def test_cash_counts_from_its_first_transaction_on() -> None:
    found = state("0 buy BTC 2 100\n1 deposit USD 50\n1 buy BTC 1 40\n2 sell BTC 1 70")
    assert found.cash == 80
    assert [flow.usd for flow in found.flows] == [200, 50]
    assert found.notes[0].startswith("Cash is counted from 2024-01-02T00:00:00Z on")


def test_stablecoins_are_assets_and_not_cash() -> None:
    found = state("0 deposit USDT 100 1")
    assert found.cash is None
    assert only(found).cost_basis == 100


def test_coins_that_cross_the_edge_are_flows_with_their_recorded_price() -> None:
    came, went = state("0 deposit BTC 2 100 10\n1 withdrawal BTC 1").flows
    assert [came.usd, came.quantity, came.price_usd] == [10, 2, 100]
    assert [went.usd, went.quantity, went.price_usd] == [0, -1, None]


def test_movements_tell_every_change_of_quantity() -> None:
    found = state(
        "0 deposit USD 500\n1 buy BTC 2 100 5\n2 stake BTC 1\n3 reward BTC 1\n4 sell BTC 1 90 1"
    )
    assert [moved.changes for moved in found.movements] == [
        (("USD", Decimal(500)),),
        (("BTC", Decimal(2)), ("USD", Decimal(-205))),
        (("BTC", Decimal(1)),),
        (("BTC", Decimal(-1)), ("USD", Decimal(89))),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 buy BTC 2 100\n4 sell BTC 3 100",
         "sell of 3 BTC on 2024-01-05T00:00:00Z: 3 BTC is asked, 2 BTC is held."),
        ("4 sell BTC 3 100", "3 BTC is asked, 0 BTC is held."),
        ("0 buy BTC 2 100\n1 withdrawal BTC 3", "3 BTC is asked, 2 BTC is held."),
        ("0 buy BTC 2 100\n1 fee BTC 3", "3 BTC is asked, 2 BTC is held."),
        ("0 buy BTC 2 100\n1 transfer BTC 3", "3 BTC is asked, 2 BTC is held."),
        ("0 buy BTC 2 100\n1 stake BTC 3", "3 BTC is asked, 2 BTC is held."),
        ("0 buy BTC 2 100\n1 stake BTC 1.5\n2 sell BTC 1 100",
         "1 BTC is asked, 2 BTC is held, 1.5 BTC of it staked."),
        ("0 buy BTC 2 100\n1 unstake BTC 1", "1 BTC is asked, 2 BTC is held, 0 BTC of it staked."),
        ("0 deposit USD 3000\n1 buy BTC 1 5000 5",
         "it needs 5005 USD, 3000 USD cash is held. Record a deposit of USD before it."),
        ("0 withdrawal USD 5", "no USD is recorded before it"),
        ("0 fee USD 5", "no USD is recorded before it"),
        ("0 deposit USD 5\n1 transfer USD 5 - 1", "it needs 6 USD, 5 USD cash is held."),
        ("0 deposit USD 5\n1 reward BTC 1 - 6", "it needs 6 USD, 5 USD cash is held."),
        ("0 deposit USD 5 - 6", "no USD is recorded before it"),
        ("0 reward BTC 1\n0 deposit USD 5\n1 sell BTC 1 1 7", "it needs 6 USD, 5 USD cash is"),
        ("0 deposit USD 9e19\n1 deposit USD 9e19", "cash grows out of range"),
        ("0 buy BTC 9e19 9", "quantity times price 8.100000e+20 is out of range"),
        ("0 reward BTC 9e19\n1 reward BTC 9e19", "what is held grows out of range"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_have_happened(text: str, says: str) -> None:
    assert says in str(refusal(text))


def test_a_refusal_tells_programs_too() -> None:
    error = refusal("0 buy BTC 2 100\n1 stake BTC 1.5\n2 sell BTC 1 100")
    assert error.details == {
        "position": 2, "short": "BTC", "held": "2", "staked": "1.5", "asked": "1",
    }  # fmt: skip
    assert "missing before it" in error.hint


def test_a_refused_transaction_changes_nothing() -> None:
    good = history("0 deposit USD 500\n1 buy BTC 2 100\n2 stake BTC 1\n9 sell BTC 1 90")
    bad = history(
        """
        3 withdrawal USD 999
        3 sell BTC 2 90
        3 sell BTC 1 1 999
        3 buy ETH 1 1000
        3 buy BTC 1 2 9999
        3 buy BTC 9e19 1e19
        3 deposit BTC 99999999999999999999 0
        3 deposit BTC 0.000000000000000001 1 300
        3 unstake BTC 2
        3 unstake BTC 1 - 999
        3 stake BTC 1 - 999
        3 transfer USD 999
        3 withdrawal ETH 1
        3 deposit USD 99999999999999999999
        """
    )
    state, refused = sift(in_order([*good, *bad]), LotMethod.FIFO)
    assert state == replay(good, LotMethod.FIFO)
    assert [transaction for transaction, _ in refused] == bad

    ledger = Ledger(LotMethod.FIFO)
    for transaction in in_order([*good, *bad]):
        with suppress(InvalidError):
            ledger.apply(transaction)
    assert ledger.state() == replay(good, LotMethod.FIFO)


def test_of_equal_times_what_was_entered_first_applies_first() -> None:
    entries = history("0 buy BTC 1 100\n0 sell BTC 1 120")
    assert replay(reversed(entries), LotMethod.FIFO).totals.realised_profit == 20
    assert "0 BTC is held" in str(refusal("0 sell BTC 1 120\n0 buy BTC 1 100"))


def test_as_of_takes_what_happened_by_then_and_at_that_instant() -> None:
    entries = history("0 buy BTC 1 100\n2 buy BTC 1 300\n4 sell BTC 2 500")
    for day, quantity in ((-1, 0), (0, 1), (1, 1), (2, 2), (3, 2), (4, 0)):
        found = replay(entries, LotMethod.FIFO, as_of=START + timedelta(days=day))
        assert sum(each.quantity for each in found.holdings) == quantity


def test_a_sell_too_many_after_the_asked_time_does_not_matter() -> None:
    entries = history("0 buy BTC 1 100\n2 sell BTC 5 100")
    assert only(replay(entries, LotMethod.FIFO, as_of=START)).quantity == 1


def test_an_empty_history_holds_nothing() -> None:
    found = replay([], LotMethod.FIFO)
    assert (found.holdings, found.cash, found.flows, found.notes) == ((), None, (), ())


def test_sums_keep_all_38_digits() -> None:
    found = state(
        "0 deposit USD 12345678901234567890.123456789012345678\n1 fee USD 0.000000000000000001"
    )
    assert found.cash == Decimal("12345678901234567890.123456789012345677")
    found = state(
        "0 buy BTC 1 12345678901234567890.123456789012345678\n1 buy ETH 1 0.000000000000000001"
    )
    assert found.totals.cost_basis == Decimal("12345678901234567890.123456789012345679")


def numbers(value: Any) -> list[Any]:
    """Collect every number inside nested values."""
    if is_dataclass(value) and not isinstance(value, type):
        return [each for field in fields(value) for each in numbers(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, int | float | Decimal) else []


@pytest.mark.parametrize("method", list(LotMethod))
def test_every_number_is_a_decimal(method: LotMethod) -> None:
    found = state(
        """
        0 buy BTC 3 100 1
        1 deposit USD 1000
        2 sell BTC 1 150 2
        3 stake BTC 1
        4 reward BTC 0.1 90
        5 fee BTC 0.05
        6 withdrawal BTC 1
        7 transfer BTC 0.5 - 1
        8 reward USD 1
        """,
        method,
    )
    derived = tuple((each.free, each.average_cost) for each in found.holdings)
    collected = numbers((found, derived))
    assert len(collected) > 30
    assert {type(number) for number in collected} == {Decimal}
