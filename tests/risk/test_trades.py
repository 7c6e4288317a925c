"""Trades that are planned: how they are read."""

from decimal import Decimal

import pytest

from seawall.core.errors import InvalidError
from seawall.portfolios.schemas import TransactionType
from seawall.risk.trades import (
    Trade,
    parse_fraction,
    parse_prices,
    parse_trade,
    parse_weights,
)

BUY = Trade(TransactionType.BUY, "BTC", Decimal("0.5"))
SELL = Trade(TransactionType.SELL, "ETH", Decimal(10), Decimal(3000))


def test_trades_are_read() -> None:
    assert parse_trade("buy 0.5 BTC") == BUY
    assert parse_trade("  SELL 10 eth at 3000 ") == SELL


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a trade"),
        ("hold 1 BTC", "not a trade"),
        ("buy BTC 1", "not a number"),
        ("buy 1", "not a trade"),
        ("buy 1 BTC for 5", "not a trade"),
        ("buy 0 BTC", "not above zero"),
        ("sell -1 BTC", "not above zero"),
        ("buy nan BTC", "not a number"),
        ("buy 1 BTC at 0", "not above zero"),
        ("buy 100 USD", "not traded itself"),
    ],
)
def test_what_is_no_trade_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidError, match=says):
        parse_trade(text)


def test_prices_are_of_what_is_traded() -> None:
    assert parse_prices(["btc=60000"], [BUY, SELL]) == {"BTC": Decimal(60000)}
    assert parse_prices(["60000"], [BUY]) == {"BTC": Decimal(60000)}
    for text in ("60000", "SOL=5"):
        with pytest.raises(InvalidError, match="none of the assets traded"):
            parse_prices([text], [BUY, SELL])
    with pytest.raises(InvalidError, match="not above zero"):
        parse_prices(["BTC=0"], [BUY])


def test_fractions_are_read_with_and_without_percent() -> None:
    assert parse_fraction("0.1%", "the fee") == Decimal("0.001")
    assert parse_fraction("0.001", "the fee") == Decimal("0.001")
    for text in ("-1%", "101%", "2"):
        with pytest.raises(InvalidError, match="between 0 and 100"):
            parse_fraction(text, "the fee")


def test_weights_add_up() -> None:
    found = parse_weights("BTC=50%, eth=0.3,USD=20%")
    assert found == {"BTC": Decimal("0.5"), "ETH": Decimal("0.3"), "USD": Decimal("0.2")}
    for text, says in (
        ("BTC=50%", "add up to 50 %"),
        ("BTC=50%,BTC=50%", "two weights"),
        ("BTC", "not a weight"),
        ("", "not a weight"),
        ("BTC=150%,ETH=-50%", "between 0 and 100"),
    ):
        with pytest.raises(InvalidError, match=says):
            parse_weights(text)
