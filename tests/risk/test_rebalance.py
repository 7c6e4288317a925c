"""The plan of trades: paid for, within what is free, with the gains that the ledger realises."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.core.money import exact, multiply
from seawall.market.prices import AssetPrices, Price
from seawall.market.store import OrderRules
from seawall.portfolios.ledger import replay
from seawall.portfolios.schemas import CASH, LotMethod, PortfolioRecord, Transaction
from seawall.portfolios.schemas import TransactionType as Kind
from seawall.portfolios.valuation import Moment, Valuation, ValuedHolding, as_decimal
from seawall.risk.rebalance import RebalancePlan, TradingCosts, plan_rebalance

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
PRICES = {"BTC": 60_000.0, "ETH": 3_000.5, "SOL": 150.25, "USD": 1.0}
COSTS = TradingCosts(Decimal("0.001"), Decimal("0.0005"))
NO_RULES: Mapping[str, OrderRules] = {}


def _did(day: int, kind: Kind, asset: str, quantity: str, price: str | None = None) -> Transaction:
    return Transaction(
        START + timedelta(days=day),
        kind,
        asset,
        Decimal(quantity),
        None if price is None else Decimal(price),
        Decimal("1.5") if kind in {Kind.BUY, Kind.SELL} else Decimal(0),
        position=day,
    )


HISTORY = (
    _did(0, Kind.DEPOSIT, "USD", "50000"),
    _did(1, Kind.BUY, "BTC", "0.3", "42000.123"),
    _did(2, Kind.BUY, "BTC", "0.2", "39000"),
    _did(3, Kind.BUY, "BTC", "0.1", "51000.77"),
    _did(4, Kind.BUY, "ETH", "4", "2500"),
    _did(5, Kind.BUY, "SOL", "17.123456789", "99.99"),
    _did(6, Kind.STAKE, "ETH", "3"),
)


def _value(
    history: Sequence[Transaction] = HISTORY, method: LotMethod = LotMethod.FIFO
) -> Valuation:
    state = replay(history, method)
    with exact():
        values = {
            each.asset: multiply(each.quantity, as_decimal(PRICES[each.asset]))
            for each in state.held
        }
        total = sum(values.values(), Decimal(0))
    holdings = [
        ValuedHolding(each, Price(PRICES[each.asset], AS_OF), values[each.asset], None, None)
        for each in state.held
    ]
    return Valuation(
        portfolio=_portfolio(method),
        moment=Moment(AS_OF, AS_OF),
        state=state,
        holdings=tuple(holdings),
        total_value=total,
        unrealised_profit=None,
        unpriced=(),
        prices={each.asset: AssetPrices(each.asset, ()) for each in state.held},
        notes=(),
    )


def _portfolio(method: LotMethod) -> PortfolioRecord:
    unknown = dict.fromkeys(
        (
            *("total_value_usd", "total_invested_usd", "total_profit_loss_usd"),
            *("total_profit_loss_percentage", "risk_score", "volatility", "sharpe_ratio"),
            *("max_drawdown", "valued_at"),
        )
    )
    return PortfolioRecord(
        id=UUID(int=1),
        user_id=UUID(int=2),
        name="Main",
        description="",
        created_at=START,
        is_primary=True,
        is_public=False,
        shows_quantities=False,
        color="",
        lot_method=method,
        **unknown,
    )


def _carry_out(plan: RebalancePlan) -> list[Transaction]:
    """Write a plan down as if it had been traded."""
    return [
        Transaction(
            AS_OF,
            each.side,
            each.asset,
            each.quantity,
            each.price_usd,
            each.fee_usd,
            position=100 + at,
        )
        for at, each in enumerate(plan.trades)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda each: sum(each) > 0.01),
    st.floats(0, 0.4),
    st.sampled_from(list(LotMethod)),
    st.decimals(0, "0.05", places=4),
    st.sampled_from([0, 2, 8, 18]),
)
def test_the_ledger_takes_every_plan_and_realises_what_was_previewed(
    shares: list[float], cash: float, method: LotMethod, fee: Decimal, places: int
) -> None:
    weights = np.array(shares) / sum(shares) * (1 - cash)
    targets = dict(zip(("BTC", "ETH", "SOL"), weights.tolist(), strict=True)) | {CASH: cash}
    valuation = _value(method=method)
    rules = dict.fromkeys(PRICES, OrderRules(places=places))
    plan = plan_rebalance(valuation, targets, TradingCosts(fee, fee / 2), rules)
    # It refuses a sale of more than is free, and a buy that is not paid for.
    after = replay([*HISTORY, *_carry_out(plan)], method)
    before = valuation.state
    with exact():
        assert after.cash == plan.cash_after
        realised = after.totals.realised_profit - before.totals.realised_profit
        assert realised == plan.realised_usd
        assert before.cash is not None
        moved = sum((each.cash_usd for each in plan.trades), Decimal(0))
        assert before.cash + moved == plan.cash_after
        for trade in plan.trades:
            if trade.side is Kind.SELL:
                assert sum(lot.quantity for lot in trade.lots) == trade.quantity
                assert sum(lot.proceeds_usd for lot in trade.lots) == trade.cash_usd
                assert sum(lot.profit_usd for lot in trade.lots) == trade.realised_usd
    assert plan.cash_after >= 0


def test_targets_are_reached_but_for_costs_and_rounding() -> None:
    targets = {"BTC": 0.3, "ETH": 0.3, "SOL": 0.2, CASH: 0.2}
    plan = plan_rebalance(_value(), targets, COSTS, NO_RULES)
    assert plan.weights == pytest.approx(targets, abs=1e-4)
    value = _value().total_value
    assert value is not None
    assert plan.fees_usd + plan.slippage_usd == pytest.approx(
        plan.turnover_usd * Decimal("0.0015"), rel=Decimal("1e-3")
    )
    assert [each.side for each in plan.trades] == ["sell", "buy", "buy"]


def test_without_costs_and_change_there_is_no_trade() -> None:
    valuation = _value()
    total = valuation.total_value
    assert total is not None
    current = {each.asset: float((each.value or 0) / total) for each in valuation.holdings}
    plan = plan_rebalance(valuation, current, TradingCosts(band=Decimal("0.0001")), NO_RULES)
    assert plan.trades == ()
    assert plan.cash_after == plan.cash_before


def test_a_band_leaves_small_differences_alone() -> None:
    valuation = _value()
    total = valuation.total_value
    assert total is not None
    current = {each.asset: float((each.value or 0) / total) for each in valuation.holdings}
    moved = current | {"BTC": current["BTC"] - 0.1, "SOL": current["SOL"] + 0.01}
    plan = plan_rebalance(valuation, moved, TradingCosts(band=Decimal("0.02")), NO_RULES)
    assert [each.asset for each in plan.trades] == ["BTC"]
    assert "Within the band of 2 %: ETH, SOL." in plan.notes


def test_what_is_staked_is_not_sold() -> None:
    plan = plan_rebalance(_value(), {"BTC": 0.5, "ETH": 0.0, "SOL": 0.3}, COSTS, NO_RULES)
    (sale,) = (each for each in plan.trades if each.asset == "ETH")
    assert (sale.side, sale.quantity) == (Kind.SELL, Decimal(1))
    assert "ETH: 3 is staked and cannot be sold; 4 should be." in plan.notes


def test_everything_can_be_sold_to_the_last_digit() -> None:
    rules = {"SOL": OrderRules(places=18)}
    plan = plan_rebalance(_value(), {"SOL": 0.0}, COSTS, rules)
    (sale,) = plan.trades
    assert sale.quantity == Decimal("17.123456789")
    assert plan.weights["SOL"] == 0


def test_sizes_fit_the_exchange() -> None:
    rules = {
        "BTC": OrderRules(least=Decimal("0.001"), most=Decimal("0.01"), places=3),
        "ETH": OrderRules(least=Decimal(50), places=2),
        "SOL": OrderRules(places=-1),
    }
    plan = plan_rebalance(_value(), {"BTC": 0.3, "ETH": 0.3, "SOL": 0.2}, COSTS, rules)
    found = {each.asset: each.quantity for each in plan.trades}
    assert set(found) == {"BTC", "SOL"}
    assert found["BTC"] == found["BTC"].quantize(Decimal("0.001"))
    assert found["SOL"] % 10 == 0
    assert any("ETH: a buy of" in note and "least order of 50" in note for note in plan.notes)
    assert any("more than one order of at most 0.01" in note for note in plan.notes)


def test_without_recorded_cash_sales_pay_for_buys() -> None:
    history = HISTORY[1:]
    plan = plan_rebalance(_value(history), {"BTC": 0.2, "ETH": 0.5, "SOL": 0.3}, COSTS, NO_RULES)
    assert plan.cash_before is None
    assert 0 <= plan.cash_after < Decimal("0.02")
    after = replay([*history, *_carry_out(plan)], LotMethod.FIFO)
    assert after.cash is None
    assert CASH not in plan.weights


def test_lots_leave_by_the_portfolio_s_method() -> None:
    targets = {"BTC": 0.3}
    first = {
        method: plan_rebalance(_value(method=method), targets, COSTS, NO_RULES).trades[0].lots[0]
        for method in LotMethod
    }
    assert first[LotMethod.FIFO].acquired == START + timedelta(days=1)
    assert first[LotMethod.LIFO].acquired == START + timedelta(days=3)
    assert first[LotMethod.HIFO].cost_basis / first[LotMethod.HIFO].quantity > 51_000
    assert first[LotMethod.FIFO].held_days == (AS_OF - START).days - 1


def test_a_hundred_percent_in_cash_sells_what_is_free() -> None:
    targets = {"BTC": 0.0, "ETH": 0.0, "SOL": 0.0, CASH: 1.0}
    plan = plan_rebalance(_value(), targets, COSTS, {"SOL": OrderRules(places=9)})
    assert {each.asset: each.side for each in plan.trades} == dict.fromkeys(
        ("BTC", "ETH", "SOL"), Kind.SELL
    )
    assert plan.weights["ETH"] == pytest.approx(3 * 3_000.5 / 63_300, rel=0.005)


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(InvalidError, match="XRP is not held"):
        plan_rebalance(_value(), {"XRP": 0.5}, COSTS, NO_RULES)
    with pytest.raises(InvalidError, match="no known value"):
        plan_rebalance(replace(_value(), total_value=None), {"BTC": 1.0}, COSTS, NO_RULES)
    for wrong in ("-0.1", "1", "NaN"):
        with pytest.raises(InvalidError, match="fraction below 1"):
            TradingCosts(fee=Decimal(wrong))
