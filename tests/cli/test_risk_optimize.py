"""`seawall risk optimize` and `risk report --histories`: what they print, and what they refuse."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Cli = Callable[..., Any]
START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = ("--as-of", "2024-07-01")
ROWS = (
    "2024-01-01,deposit,USD,10000,,,",
    "2024-01-02,buy,BTC,20,100,5,",
    "2024-01-02,buy,ETH,10,200,5,",
    "2024-04-15,buy,SOL,5,50,,",
)


def _walk(at: int, scale: float, phase: float) -> float:
    wave = math.sin(at * 1.7 + phase) + 0.5 * math.sin(at * 0.31 * phase)
    return round(scale * (1 + 0.04 * wave + at / 2_000), 4)


@pytest.fixture(scope="module")
def held(shared: Any) -> Cli:
    """Hold three assets, one of them listed late, and a portfolio of them."""
    late = [_walk(day, 50, 3) for day in range(100)]
    files = (
        shared.files.candles([_walk(day, 100, 1) for day in range(200)], name="BTCUSD-1d.csv"),
        shared.files.candles([_walk(day, 200, 2) for day in range(200)], name="ETHUSD-1d.csv"),
        shared.files.candles(late, name="SOLUSD-1d.csv", start=START + timedelta(days=100)),
    )
    assert shared("market", "import", *files).code == 0
    shared.portfolio(*ROWS)
    return shared  # type: ignore[no-any-return]


def test_the_document_has_weights_outlooks_and_the_plan(held: Cli) -> None:
    done = held("risk", "optimize", "Main", *AS_OF, "--max-weight", "0.5", "--json")
    assert done.code == 0, done
    found = done.document
    assert sum(each["target"] for each in found["weights"]) == pytest.approx(1)
    assert found["target"]["volatility"] <= found["before"]["volatility"]
    assert found["question"]["method"] == "min-variance"
    assert found["missing"]["SOL"] > 0
    plan = found["plan"]
    assert float(plan["cash_after"]) >= 0
    sold = [each for each in plan["trades"] if each["side"] == "sell"]
    assert sold
    assert all(each["lots"] and each["realised_usd"] is not None for each in sold)


def test_a_person_reads_tables(held: Cli) -> None:
    out = held(
        "risk", "optimize", "Main", *AS_OF, "--method", "risk-parity", "--histories", "proxy"
    ).out
    for said in (
        "risk-parity for Main as of 2024-07-01 UTC: ledoit-wolf covariance of",
        "proxy histories",
        "Risk share",
        "Volatility, annualised",
        "After trades",
        "Realised",
        "Acquired",
        "Cash after",
        "SOL: ",
        "missing returns were filled with",
        "Nothing was traded or stored.",
    ):
        assert said in out


def test_a_wide_band_needs_no_trade(held: Cli) -> None:
    out = held("risk", "optimize", "Main", *AS_OF, "--method", "risk-parity", "--band", "0.9").out
    assert "No trade is needed." in out
    assert "Within the band of 90 %" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "magic"), "There is no method 'magic'"),
        (("--covariance", "magic"), "There is no covariance 'magic'"),
        (("--histories", "magic"), "There is no way with histories 'magic'"),
        (("--max-weight", "0.1"), "hold"),
        (("--cap", "BTC"), "is not a cap"),
        (("--fee", "2"), "fraction below 1"),
        (("--fee", "dear"), "is not a number"),
    ],
)
def test_what_is_wrong_is_said(held: Cli, options: tuple[str, ...], said: str) -> None:
    done = held("risk", "optimize", "Main", *AS_OF, *options)
    assert done.code != 0
    assert said in done.err


def test_a_report_shows_the_histories_asked_for_besides(held: Cli) -> None:
    report = ("risk", "report", "Main", *AS_OF, "--window", "150")
    plain = held(*report, "--json").document
    assert plain["covariance"] is None
    found = held(*report, "--histories", "proxy", "--covariance", "ewma", "--json").document
    assert found["id"] != plain["id"]
    again = held("risk", "recompute", found["id"], "--json").document
    assert again["identical"]
    assert again["recomputed"]["covariance"] == found["covariance"]
    together = found["covariance"]
    assert together["choice"] == {"estimator": "ewma", "histories": "proxy", "window": 150}
    assert together["observations"] == 150
    assert together["filled"]["SOL"] > 0
    assert together["volatility"] > 0
    out = held(*report, "--histories", "pairwise").out
    assert "By the sample covariance of pairwise histories" in out
    assert "each pair was measured over its own common days" in out
