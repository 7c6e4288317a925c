"""Values refuse what cannot be."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from seawall.core.errors import InvalidError
from seawall.portfolios.schemas import Holding, Transaction, TransactionType

DAY = datetime(2024, 1, 5, tzinfo=UTC)


def make(kind: str, asset: str = "BTC", quantity: str = "1", **more: Any) -> Transaction:
    return Transaction(DAY, TransactionType(kind), asset, Decimal(quantity), **more)


@pytest.mark.parametrize(
    ("kind", "asset", "quantity", "more", "reason"),
    [
        ("buy", "BTC", "0", {"price_usd": Decimal(1)}, "not above zero"),
        ("buy", "BTC", "-1", {"price_usd": Decimal(1)}, "not above zero"),
        ("buy", "BTC", "NaN", {"price_usd": Decimal(1)}, "out of range"),
        ("buy", "BTC", "1e20", {"price_usd": Decimal(1)}, "out of range"),
        ("buy", "BTC", "1e-19", {"price_usd": Decimal(1)}, "18 digits"),
        ("buy", "BTC", "1", {"price_usd": Decimal(-1)}, "price_usd -1 is negative"),
        ("transfer", "BTC", "1", {"fee_usd": Decimal("-0.5")}, "fee_usd -0.5 is negative"),
        ("transfer", "BTC", "1", {"fee_usd": Decimal("Infinity")}, "out of range"),
        ("buy", "BTC", "1", {}, "a buy of BTC needs price_usd"),
        ("sell", "BTC", "1", {}, "a sell of BTC needs price_usd"),
        ("deposit", "USDT", "1", {}, "a deposit of USDT needs price_usd. It becomes the cost"),
        ("deposit", "", "1", {}, "asset is empty"),
        ("reward", "B TC", "1", {}, "not a symbol"),
        ("reward", "B\nTC", "1", {}, "not a symbol"),
        ("reward", "X" * 33, "1", {}, "not a symbol"),
        ("buy", "USD", "1", {"price_usd": Decimal(1)}, "has no buy. Record it as a deposit"),
        ("stake", "USD", "1", {}, "has no stake"),
        ("deposit", "USD", "1", {"price_usd": Decimal("1.1")}, "price of USD is 1, not 1.1"),
    ],
)
def test_a_transaction_refuses(
    kind: str, asset: str, quantity: str, more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        make(kind, asset, quantity, **more)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "asset", "more"),
    [
        ("buy", "BTC", {"price_usd": Decimal(0)}),
        ("withdrawal", "BTC", {}),
        ("reward", "1INCH", {}),
        ("deposit", "USD", {}),
        ("deposit", "USD", {"price_usd": Decimal("1.00")}),
        ("deposit", "USDT", {"price_usd": Decimal("0.99")}),
    ],
)
def test_a_transaction_takes(kind: str, asset: str, more: dict[str, Any]) -> None:
    assert make(kind, asset, **more).asset == asset


def test_times_become_utc() -> None:
    tokyo = datetime(2024, 1, 5, 9, tzinfo=timezone(timedelta(hours=9)))
    for moment in (tokyo, DAY, DAY.replace(tzinfo=None)):
        taken = Transaction(moment, TransactionType.REWARD, "BTC", Decimal(1)).time
        assert (taken, taken.tzinfo) == (DAY, UTC)


def test_a_transaction_is_frozen() -> None:
    reward = make("reward")
    with pytest.raises(FrozenInstanceError):
        reward.quantity = Decimal(2)  # type: ignore[misc]


def test_a_holding_tells_what_is_free_and_the_average_cost_exactly() -> None:
    wide = Decimal("12345678901234567890.123456789012345678")
    holding = Holding("BTC", wide, Decimal("0.000000000000000001"), wide, ())
    assert holding.free == Decimal("12345678901234567890.123456789012345677")
    assert holding.average_cost == 1
    assert Holding("BTC", Decimal(0), Decimal(0), Decimal(0), ()).average_cost is None
    thirds = Holding("BTC", Decimal(3), Decimal(0), Decimal(100), ())
    assert thirds.average_cost == Decimal("33.333333333333333333")
