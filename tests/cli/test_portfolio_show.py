"""What a portfolio holds, cost and is worth, as the command line shows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Make = Callable[..., Any]
AS_OF = "2024-01-09"

# Three lots of one BTC at 100 (1 of fees), 300 and 200; then 1.5 BTC are sold at 400, less 6.
LOTS = (
    "2024-01-01,deposit,USD,1000,,,",
    "2024-01-02,buy,BTC,1,100,1,",
    "2024-01-03,buy,BTC,1,300,,",
    "2024-01-04,buy,BTC,1,200,,",
    "2024-01-05,sell,BTC,1.5,400,6,",
)
# The proceeds are 1.5 x 400 - 6 = 594; what is left of the cost of 601 is the basis.
REALISED = {
    "fifo": ("343", "350"),  # 101 + 150 left first
    "lifo": ("244", "251"),  # 200 + 150
    "hifo": ("194", "201"),  # 300 + 100
    "average": ("293.5", "300.5"),  # half of 601
}

CLOSES = [100 + 10 * day for day in range(8)]


@pytest.fixture
def priced(cli: Cli, write_candles: Callable[..., Path]) -> Cli:
    """Hold daily prices of BTC for 2024-01-01 to 2024-01-08: 100, 110, … 170."""
    path = write_candles(CLOSES, name="BTCUSD-1d.csv")
    assert cli("market", "import", path).code == 0
    return cli


@pytest.fixture(scope="module")
def sold(shared: Any) -> Cli:
    """Hold the prices and the lots, for all that ask of them."""
    path = shared.files.candles(CLOSES, name="BTCUSD-1d.csv")
    assert shared("market", "import", path).code == 0
    shared.portfolio(*LOTS)
    return shared  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", REALISED)
def test_each_lot_method_realises_its_own_profit(sold: Cli, method: str) -> None:
    shown = sold("portfolio", "show", "Main", "--lots", method, "--as-of", AS_OF, "--json")
    assert shown.code == 0
    realised, basis = REALISED[method]
    found = shown.document
    assert (found["lots"], found["realised_profit_usd"]) == (method, realised)
    assert found["cost_basis_usd"] == basis
    btc = next(each for each in found["holdings"] if each["asset"] == "BTC")
    assert (btc["quantity"], btc["value_usd"]) == ("1.5", "255")
    # 1000 - 601 + 594 of cash and 1.5 BTC at 170.
    assert found["total_value_usd"] == "1248"
    unrealised = float(found["unrealised_profit_usd"])
    assert unrealised + float(realised) == pytest.approx(248)


def test_the_table_adds_up(sold: Cli) -> None:
    lines = sold("portfolio", "show", "main", "--as-of", AS_OF).out.splitlines()
    assert lines[0] == "Main as of 2024-01-09 UTC, fifo lots, in USD"
    assert lines[2].split("  ")[0] == "Asset"
    assert lines[4].split() == [
        "USD",
        "993.00",
        "1.00",
        "1.00",
        "993.00",
        "79.6%",
        "+0.00",
        "+0.00",
    ]
    assert lines[5].split() == [
        *("BTC", "1.5", "233.33", "170.00", "255.00", "20.4%", "-95.00", "+343.00"),
    ]
    assert len(lines[2].rstrip()) == len(lines[4].rstrip()) == len(lines[5].rstrip())
    assert lines[7] == (
        "Total value 1,248.00 USD, unrealised -95.00, realised +343.00, expenses 0.00"
    )
    assert lines[8] == "Time-weighted return 24.80% since 2024-01-01"


def test_the_past_is_shown_as_it_was(sold: Cli) -> None:
    # The candle that opens on the 3rd closes at 120 and is known on the 4th.
    found = sold("portfolio", "show", "Main", "--as-of", "2024-01-03T12:00", "--json").document
    btc = next(each for each in found["holdings"] if each["asset"] == "BTC")
    assert (btc["quantity"], btc["price_usd"]) == ("2", 110.0)
    assert btc["price_time"] == "2024-01-03T00:00:00Z"
    assert btc["price_age_seconds"] == 43_200.0
    assert found["realised_profit_usd"] == "0"
    assert found["as_of"] == "2024-01-03T12:00:00Z"
    before = sold("portfolio", "show", "Main", "--as-of", "2023-12-31")
    assert "Nothing is held." in before.out
    assert "no money has come in yet" in before.out


def test_the_list_says_what_each_was_last_worth(priced: Cli, portfolio: Make) -> None:
    portfolio(*LOTS)
    assert priced("portfolio", "list").out.splitlines()[2].split()[:3] == ["Main", "-", "-"]
    assert priced("risk", "report", "Main", "--as-of", AS_OF).code == 0
    (row,) = priced("portfolio", "list").out.splitlines()[2:]
    assert row.split()[:3] == ["Main", "1,248.00", AS_OF]
    (found,) = priced("portfolio", "list", "--json").document["portfolios"]
    assert (found["total_value_usd"], found["valued_at"]) == ("1248", f"{AS_OF}T00:00:00Z")


def test_the_future_is_not_shown(sold: Cli) -> None:
    for command in (("portfolio", "show"), ("risk", "report")):
        done = sold(*command, "Main", "--as-of", "2124-01-01")
        assert done.code == 4
        assert "2124-01-01T00:00:00Z is in the future" in done.err


def test_what_has_no_price_makes_the_totals_unknown(priced: Cli, portfolio: Make) -> None:
    portfolio(*LOTS, "2024-01-06,buy,RARE,3,10,,")
    shown = priced("portfolio", "show", "Main", "--as-of", AS_OF, "--json").document
    rare = next(each for each in shown["holdings"] if each["asset"] == "RARE")
    assert [
        rare[name] for name in ("price_usd", "value_usd", "weight", "unrealised_profit_usd")
    ] == [None] * 4
    totals = ("total_value_usd", "unrealised_profit_usd", "time_weighted_return")
    assert [shown[name] for name in totals] == [None] * 3
    assert shown["time_weighted_return_reason"] == "no price of RARE is known"
    assert shown["notes"] == ["No price of RARE is known, so the totals are not either."]
    assert shown["realised_profit_usd"] == "343"
    text = priced("portfolio", "show", "Main", "--as-of", AS_OF).out
    assert "Total value - USD, unrealised -, realised +343.00" in text
    report = priced("risk", "report", "Main", "--as-of", AS_OF, "--json").document
    assert report["total_value_usd"] is None
    assert report["volatility"] is None
    assert report["reasons"]["volatility"] == "no price of RARE is known"


def test_an_empty_portfolio_is_worth_nothing_and_has_no_risk(cli: Cli) -> None:
    assert cli("portfolio", "create", "Main").code == 0
    shown = cli("portfolio", "show", "Main", "--json").document
    assert (shown["total_value_usd"], shown["holdings"], shown["closed"]) == ("0", [], [])
    assert shown["time_weighted_return"] is None
    report = cli("risk", "report", "Main")
    assert report.code == 0
    assert report.out.count("the portfolio holds nothing") == 16
    assert "nan" not in report.out


def test_cash_alone_has_a_value_and_no_wrong_figures(cli: Cli, portfolio: Make) -> None:
    portfolio("2024-01-01,deposit,USD,1234.5,,,")
    shown = cli("portfolio", "show", "Main", "--as-of", AS_OF, "--json").document
    assert shown["total_value_usd"] == "1234.5"
    assert shown["time_weighted_return"] == "0"
    report = cli("risk", "report", "Main", "--as-of", AS_OF, "--json").document
    assert report["total_value_usd"] == "1234.5"
    assert report["effective_n"] == 1.0
    undefined = ("sharpe_ratio", "beta", "correlation_btc")
    assert [report[name] for name in undefined] == [None] * 3
    assert all(report["reasons"][name] for name in undefined)
    assert report["reasons"]["correlation_matrix"] == "no variance in USD"


def test_stale_prices_are_noted_together(
    priced: Cli, portfolio: Make, write_candles: Callable[..., Path]
) -> None:
    assert priced("market", "import", write_candles([9] * 8, name="ETHUSD-1d.csv")).code == 0
    portfolio(*LOTS, "2024-01-06,buy,ETH,3,10,,")
    assert "stale" not in priced("portfolio", "show", "Main", "--as-of", AS_OF).out
    later = priced("portfolio", "show", "Main", "--as-of", "2024-02-09", "--json").document
    assert later["notes"] == ["Prices are stale: BTC, ETH since 2024-01-09T00:00:00Z."]


def test_what_was_sold_entirely_keeps_its_profit(priced: Cli, portfolio: Make) -> None:
    portfolio(*LOTS[:2], "2024-01-05,sell,BTC,1,400,,")
    shown = priced("portfolio", "show", "Main", "--as-of", AS_OF, "--json").document
    assert shown["closed"] == [{"asset": "BTC", "realised_profit_usd": "299"}]
    assert [each["asset"] for each in shown["holdings"]] == ["USD"]
    text = priced("portfolio", "show", "Main", "--as-of", AS_OF).out
    assert ["BTC", "0", "-", "-", "-", "-", "-", "+299.00"] in map(str.split, text.splitlines())
