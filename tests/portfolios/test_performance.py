"""Time-weighted returns, against published and hand-made examples."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import NotFoundError
from seawall.portfolios.ledger import replay
from seawall.portfolios.performance import FlowPoint, flow_points, time_weighted_return, value_of
from seawall.portfolios.schemas import LotMethod, Movement, Transaction, TransactionType

START = datetime(2024, 1, 1, tzinfo=UTC)


def points(*values: tuple[str, str, str]) -> list[FlowPoint]:
    """Build points from (before, flow, after), a day apart."""
    return [
        FlowPoint(START + timedelta(days=day), *map(Decimal, each))
        for day, each in enumerate(values)
    ]


def consistent(*values: tuple[str, str]) -> list[FlowPoint]:
    """Build points from (before, flow) at which nothing is lost to fees."""
    return points(
        *((before, flow, str(Decimal(before) + Decimal(flow))) for before, flow in values)
    )


def percent(given: list[FlowPoint], end: str) -> str:
    value = time_weighted_return(given, Decimal(end)).value
    assert value is not None
    return f"{value * 100:.2f}"


@pytest.mark.parametrize(
    ("flow", "end"), [("100000", "1192328"), ("-100000", "1003440")], ids=["adds", "withdraws"]
)
def test_investopedias_two_investors_earn_the_same(flow: str, end: str) -> None:
    """Source: Investopedia, "Time-Weighted Rate of Return": both 9.79 %."""
    assert percent(consistent(("0", "1000000"), ("1162484", flow)), end) == "9.79"


def test_the_cfa_curriculums_shares_with_dividends_paid_out() -> None:
    """Source: CFA, "Rates and Returns": a share at 200, another at 225, both sold at 235.

    Dividends of 5 a share are paid out each year. The yearly returns are 15 % and 6.67 %.
    """
    paid_out = consistent(("0", "200"), ("230", "-5"), ("225", "225"), ("480", "-10"))
    assert percent(paid_out, "470") == "22.67"


def test_a_hand_made_chain() -> None:
    # 100 -> 110, +90, 200 -> 180, -80, 100 -> 150: 1.1 x 0.9 x 1.5 - 1.
    chain = consistent(("0", "100"), ("110", "90"), ("180", "-80"))
    assert time_weighted_return(chain, Decimal(150)).value == Decimal("0.485")


def test_the_fee_of_a_purchase_is_a_loss() -> None:
    # 105 are paid for what is worth 100.
    assert percent(points(("0", "105", "100")), "105") == "0.00"
    assert percent(points(("0", "105", "100")), "100") == "-4.76"


def test_selling_everything_below_the_market_is_not_a_total_loss() -> None:
    # Worth 110 when 104 are taken out: 4 % on the 100 that were put in.
    assert percent(points(("0", "100", "100"), ("110", "-104", "0")), "0") == "4.00"


def test_time_without_holdings_does_not_count() -> None:
    pause = consistent(("0", "100"), ("110", "-110"), ("0", "50"))
    assert time_weighted_return(pause, Decimal(60)).value == Decimal("0.32")


def test_a_total_loss_is_minus_one_for_good() -> None:
    lost = consistent(("0", "100"), ("0", "50"))
    assert time_weighted_return(lost, Decimal(75)).value == -1
    assert time_weighted_return(lost[:1], Decimal(0)).value == -1


def test_it_is_undefined_before_money_comes_in() -> None:
    found = time_weighted_return([], Decimal(0))
    assert (found.value, found.reason) == (None, "no money has come in yet")


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([("5", "100", "105")], "105"),
        ([("0", "-5", "0")], "0"),
        ([("0", "100", "100"), ("100", "-100", "0")], "3"),
    ],
)
def test_it_is_undefined_where_value_appears_from_nothing(
    values: list[tuple[str, str, str]], end: str
) -> None:
    found = time_weighted_return(points(*values), Decimal(end))
    assert found.value is None
    assert "empty portfolio around 2024-01-0" in found.reason


money = st.integers(1, 10**24).map(lambda units: Decimal(units).scaleb(-18))


@given(money, st.lists(st.tuples(st.integers(1, 400), st.integers(-99, 300)), max_size=10))
def test_flows_do_not_change_the_return(first: Decimal, steps: list[tuple[int, int]]) -> None:
    """Whatever share of itself comes or goes, the return is the product of the growths."""
    chain = [FlowPoint(START, Decimal(0), first, first)]
    value, growth = Fraction(first), Fraction(1)
    for grown, share in steps:
        growth *= Fraction(grown, 100)
        before = value * Fraction(grown, 100)
        value = before * (100 + share) / 100
        flow = before * share / 100
        if share:
            sides = [Decimal(each.numerator) / each.denominator for each in (before, flow, value)]
            chain.append(FlowPoint(START, *sides))
    end = Decimal(value.numerator) / value.denominator
    found = time_weighted_return(chain, end).value
    assert found is not None
    assert float(found) == pytest.approx(float(growth - 1), rel=1e-12, abs=1e-12)


def movements(*entries: tuple[str, str, str, str | None, str]) -> tuple[Movement, ...]:
    """Replay (type, asset, quantity, price, fee), a day apart."""
    transactions = [
        Transaction(
            START + timedelta(days=day),
            TransactionType(kind),
            asset,
            Decimal(quantity),
            None if price is None else Decimal(price),
            Decimal(fee),
        )
        for day, (kind, asset, quantity, price, fee) in enumerate(entries)
    ]
    return replay(transactions, LotMethod.FIFO).movements


def rising(asset: str, time: datetime) -> Decimal | None:
    """Price BTC at 100, and 10 more each day."""
    return Decimal(100 + 10 * (time - START).days) if asset == "BTC" else None


def test_trades_paid_from_outside_are_flows_at_what_was_paid() -> None:
    found = flow_points(
        movements(("buy", "BTC", "2", "100", "5"), ("sell", "BTC", "1", "112", "2")), rising
    )
    assert [(each.before, each.flow, each.after) for each in found] == [
        (Decimal(0), Decimal(205), Decimal(200)),
        (Decimal(220), Decimal(-110), Decimal(110)),
    ]


def test_coins_that_come_in_count_at_the_market_and_not_at_their_old_cost() -> None:
    found = flow_points(
        movements(("deposit", "BTC", "2", "1", "3"), ("withdrawal", "BTC", "1", None, "0")), rising
    )
    assert [(each.before, each.flow, each.after) for each in found] == [
        (Decimal(0), Decimal(203), Decimal(200)),
        (Decimal(220), Decimal(-110), Decimal(110)),
    ]


def test_with_cash_only_deposits_and_withdrawals_are_flows() -> None:
    found = flow_points(
        movements(
            ("deposit", "USD", "300", None, "0"),
            ("buy", "BTC", "2", "110", "0"),
            ("reward", "BTC", "1", None, "0"),
            ("sell", "BTC", "1", "130", "0"),
            ("withdrawal", "USD", "50", None, "0"),
        ),
        rising,
    )
    # 80 left after the purchase, 130 came in; two of three coins are left, at 140.
    assert [(each.before, each.flow, each.after) for each in found] == [
        (Decimal(0), Decimal(300), Decimal(300)),
        (Decimal(490), Decimal(-50), Decimal(440)),
    ]


def test_a_fee_paid_from_outside_is_a_flow_that_is_lost() -> None:
    found = flow_points(
        movements(("buy", "BTC", "1", "100", "0"), ("transfer", "BTC", "1", None, "10")), rising
    )
    assert percent(list(found), "120") == "10.00"


def test_a_missing_price_is_named() -> None:
    with pytest.raises(NotFoundError, match="No price of ETH is known at 2024-01-02T00:00:00Z"):
        flow_points(movements(("buy", "BTC", "1", "1", "0"), ("buy", "ETH", "1", "1", "0")), rising)


def test_what_is_sold_needs_no_price_later() -> None:
    def gone(asset: str, time: datetime) -> Decimal | None:
        return None if asset == "BTC" and time > START + timedelta(days=1) else Decimal(1)

    bought_and_sold = movements(
        ("buy", "BTC", "1", "1", "0"), ("sell", "BTC", "1", "1", "0"), ("buy", "ETH", "1", "1", "0")
    )
    assert len(flow_points(bought_and_sold, gone)) == 3


def test_values_are_exact() -> None:
    wide = "12345678901234567890.123456789012345678"
    first, second = flow_points(
        movements(("deposit", "USD", wide, None, "0"), ("deposit", "BTC", "1", "1", "0")), rising
    )
    assert (first.flow, second.before) == (Decimal(wide), Decimal(wide))
    assert second.after == Decimal("12345678901234568000.123456789012345678")
    held = {"BTC": Decimal("0.000000000000000003"), "USD": Decimal(12345678901234567890)}
    assert value_of(held, START, rising) == Decimal("12345678901234567890.0000000000000003")
