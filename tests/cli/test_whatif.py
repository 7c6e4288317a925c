"""`seawall risk whatif` through the command line."""

import math
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]
AS_OF = ("--as-of", "2024-07-01", "--window", "120")


@pytest.fixture(scope="module")
def measured(shared: Any) -> Cli:
    """Hold 200 days of two assets, and a portfolio of one and cash."""
    for at, name in enumerate(("BTC", "ETH")):
        closes = [100 * (1 + 0.04 * math.sin(day * 1.7 + at) + day / 2_000) for day in range(200)]
        path = shared.files.candles(closes, name=f"{name}USD-1d.csv")
        assert shared("market", "import", path).code == 0
    shared.portfolio("2024-01-01,deposit,USD,10000,,,", "2024-01-02,buy,BTC,20,100,5,")
    return shared  # type: ignore[no-any-return]


def test_the_document_has_before_after_and_change(measured: Cli) -> None:
    done = measured(
        *("risk", "whatif", "Main", "--trade", "buy 10 ETH", "--trade", "sell 5 BTC"),
        *("--fee", "0.1%", "--price", "ETH=101", *AS_OF, "--json"),
    )
    assert done.code == 0, done
    found = done.document
    assert [each["side"] for each in found["trades"]] == ["buy", "sell"]
    assert found["trades"][0]["price_usd"] == "101"
    assert found["paid_from"] == "cash"
    volatility = found["figures"]["volatility"]
    assert volatility["change"] == volatility["after"] - volatility["before"]
    assert found["figures"]["correlation_sp500"]["reason_after"] == "no prices of SP500 are held"
    assert {each["asset"] for each in found["holdings"]["after"]} == {"BTC", "ETH", "USD"}
    parts = found["attribution"]["after"]["measures"][1]["parts"]
    added = sum(part["component"] for part in parts)
    assert added == pytest.approx(found["figures"]["value_at_risk"]["after"], rel=1e-12)
    assert measured("risk", "history", "Main").out.startswith("No report is kept")


def test_people_see_trades_figures_and_parts(measured: Cli) -> None:
    shown = measured("risk", "whatif", "Main", "--weights", "BTC=50%,ETH=30%,USD=20%", *AS_OF).out
    for text in (
        "Value at risk 95 %, one day, by asset",
        "Volatility, annualised",
        "+",
        "USD cash",
    ):
        assert text in shown
    rest = measured("risk", "whatif", "Main", "--trade", "sell 1 BTC", "--window", "10").out
    assert "needs at least 20 observations" in rest


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ((), 2, "Give trades or weights"),
        (("--trade", "buy 1 BTC", "--weights", "BTC=100%"), 2, "Give trades or weights"),
        (("--weights", "BTC=100%", "--price", "5"), 2, "market prices"),
        (("--trade", "buy 1 NOPE"), 3, "No asset NOPE"),
        (("--trade", "sell 21 BTC"), 4, "20 BTC is held"),
        (("--trade", "buy 0 BTC"), 4, "not above zero"),
        (("--trade", "buy 1 BTC", "--fee", "-1%"), 4, "between 0 and 100"),
    ],
)
def test_what_cannot_be_traded_is_refused(
    measured: Cli, options: tuple[str, ...], code: int, says: str
) -> None:
    done = measured("risk", "whatif", "Main", *options, *AS_OF)
    assert done.code == code
    assert says in done.err
