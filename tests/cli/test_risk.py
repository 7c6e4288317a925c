"""Risk reports through the command line: measured, kept once, computed again."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Make = Callable[..., Any]
DAYS = 200
AS_OF = "2024-07-01"

ISSUE_KEYS = {
    *("total_value_usd", "volatility", "var_95", "var_99", "expected_shortfall"),
    *("sharpe_ratio", "sortino_ratio", "max_drawdown", "beta", "correlation_btc"),
    *("correlation_sp500", "skewness", "kurtosis", "herfindahl_index", "effective_n"),
    *("correlation_matrix", "observations", "missing", "holdings"),
}
ROWS = (
    "2024-01-01,deposit,USD,10000,,,",
    "2024-01-02,buy,BTC,20,100,5,",
    "2024-01-02,buy,ETH,10,200,5,",
)


def _walk(at: int, scale: float, phase: float) -> float:
    wave = math.sin(at * 1.7 + phase) + 0.5 * math.sin(at * 0.31)
    return round(scale * (1 + 0.04 * wave + at / 2_000), 4)


def _hold(cli: Cli, portfolio: Make, write_candles: Callable[..., Path]) -> Cli:
    files = (
        write_candles([_walk(day, 100, 0) for day in range(DAYS)], name="BTCUSD-1d.csv"),
        write_candles([_walk(day, 200, 1) for day in range(DAYS)], name="ETHUSD-1d.csv"),
    )
    assert cli("market", "import", *files).code == 0
    portfolio(*ROWS)
    return cli


@pytest.fixture(scope="module")
def measured(shared: Any) -> Cli:
    """Hold 200 days of two assets, and a portfolio of them, for all that ask of it."""
    return _hold(shared, shared.portfolio, shared.files.candles)


@pytest.fixture
def measured_apart(cli: Cli, portfolio: Make, write_candles: Callable[..., Path]) -> Cli:
    """The same, for a test that changes it or counts what is kept."""
    return _hold(cli, portfolio, write_candles)


def _report(cli: Cli, *options: str) -> dict[str, Any]:
    done = cli("risk", "report", "Main", "--as-of", AS_OF, *options, "--json")
    assert done.code == 0, done
    found: dict[str, Any] = done.document
    return found


def test_the_document_has_every_key(measured: Cli) -> None:
    found = _report(measured, "--window", "120")
    assert found.keys() >= ISSUE_KEYS | {"id", "known_at", "reasons", "notes", "value_at_risk"}
    assert (found["observations"], found["missing"]) == (120, 0)
    assert found["correlation_matrix"]["assets"] == ["USD", "ETH", "BTC"]
    assert [len(row) for row in found["correlation_matrix"]["values"]] == [3, 3, 3]
    assert {each["asset"]: each["price_age_seconds"] for each in found["holdings"]} == {
        "USD": 0.0,
        "BTC": 0.0,
        "ETH": 0.0,
    }
    assert found["reasons"] == {
        "correlation_sp500": "no prices of SP500 are held",
        "correlation_matrix": "no variance in USD",
    }
    figures = ISSUE_KEYS - {"correlation_sp500"}
    assert all(found[name] is not None for name in figures)
    assert 0 < found["var_95"] <= found["expected_shortfall"]
    assert sum(each["weight"] for each in found["holdings"]) == pytest.approx(1)


def test_too_few_observations_are_null_with_the_reason(measured: Cli) -> None:
    found = _report(measured, "--window", "10")
    assert found["observations"] == 10
    for name in ("var_95", "var_99", "expected_shortfall"):
        assert found[name] is None
        assert "10" in found["reasons"][name]
    assert found["volatility"] > 0
    text = measured("risk", "report", "Main", "--as-of", AS_OF, "--window", "10").out
    line = next(line for line in text.splitlines() if line.startswith("Value at risk 95 %"))
    assert "  -  needs at least " in line


def test_days_that_are_not_held_are_counted(measured: Cli) -> None:
    found = _report(measured, "--window", "300")
    assert found["observations"] + found["missing"] == 300
    assert found["missing"] > 100
    assert any("are missing: BTC" in note for note in found["notes"])


def test_options_change_the_question(measured: Cli) -> None:
    plain = _report(measured, "--window", "150")
    asked = _report(measured, "--window", "150", "--confidence", "0.8", "--benchmark", "eth")
    assert asked["benchmark"] == "ETH"
    assert asked["value_at_risk"] < plain["value_at_risk"] == plain["var_95"]
    assert asked["var_95"] == plain["var_95"]
    assert asked["beta"] != plain["beta"]
    assert asked["correlation_btc"] == plain["correlation_btc"]
    text = measured("risk", "report", "Main", "--confidence", "0.8", "--benchmark", "eth").out
    assert "Value at risk 80 %, one day" in text
    assert "Beta against ETH" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window", "0"), "A window of 0 days"),
        (("--window", "-5"), "A window of -5 days"),
        (("--window", "1000000"), "A window of 1000000 days"),
        (("--confidence", "0"), "A confidence of 0.0"),
        (("--confidence", "1"), "A confidence of 1.0"),
        (("--confidence", "1.5"), "A confidence of 1.5"),
        (("--confidence", "nan"), "A confidence of nan"),
        (("--risk-free", "4"), "A risk-free rate of 4.0"),
        (("--trials", "0"), "0 trials"),
        (("--max-age", "0"), "after 0.0 days"),
        (("--horizon", "0"), "A horizon of 0 days"),
        (("--method", "guess"), "no method 'guess'"),
    ],
)
def test_a_question_out_of_range_is_refused(
    shared: Cli, options: tuple[str, ...], said: str
) -> None:
    done = shared("risk", "report", "Main", *options)
    assert done.code == 4
    assert said in done.err


def test_every_figure_is_shown_by_families(measured: Cli) -> None:
    options = ("--all", "--risk-free", "0.04", "--trials", "10", "--max-age", "3")
    found = _report(measured, *options)
    assert (found["risk_free"], found["trials"], found["max_age"]) == (0.04, 10, 3)
    assert found["all_figures"]["sharpe_ratio"]["value"] == found["sharpe_ratio"]
    assert found["all_figures"]["sharpe_ratio"]["standard_error"] > 0
    assert found["all_figures"]["ulcer_index"].keys() == {
        *("value", "low", "high", "standard_error", "observations", "reason"),
    }
    text = measured("risk", "report", "Main", "--as-of", AS_OF, *options).out
    lines = [line.split("  ")[0] for line in text.splitlines()]
    for title in ("Drawdown", "Beside the benchmark", "Ulcer index", "Longest drawdown"):
        assert title in lines
    assert "no prices of SP500 are held" in text
    plain = _report(measured)
    assert plain["all_figures"] == {}
    assert plain["sharpe_ratio"] > found["sharpe_ratio"]
    done = measured("risk", "recompute", found["id"], "--json")
    assert done.code == 0
    assert done.document["recomputed"]["all_figures"] == found["all_figures"]


def test_the_tail_as_asked_names_its_method_and_horizon(measured: Cli) -> None:
    options = ("--method", "gaussian", "--horizon", "10", "--confidence", "0.99")
    found = _report(measured, *options)
    assert (found["method"], found["horizon"]) == ("gaussian", 10)
    assert found["value_at_risk"] == found["all_figures"]["value_at_risk_asked"]["value"]
    assert found["value_at_risk"] != found["var_99"]
    text = measured("risk", "report", "Main", "--as-of", AS_OF, *options).out
    assert "Value at risk 99 %, 10 days, gaussian" in text
    assert "Expected shortfall 99 %, 10 days, gaussian" in text


def test_a_stale_price_is_in_the_document_and_the_notes(measured: Cli) -> None:
    late = "2024-07-24"
    found = measured("risk", "report", "Main", "--as-of", late, "--json").document
    assert found["stale"] == dict.fromkeys(("ETH", "BTC"), "2024-07-19T00:00:00Z")
    text = measured("risk", "report", "Main", "--as-of", late).out
    assert "Prices are stale: BTC, ETH since 2024-07-19T00:00:00Z." in " ".join(text.split())
    fresh = measured("risk", "report", "Main", "--as-of", late, "--max-age", "5", "--json")
    assert fresh.document["stale"] == {}


def test_a_price_of_zero_is_not_taken_and_its_days_are_missing(
    cli: Cli, portfolio: Make, write_candles: Callable[..., Path]
) -> None:
    walk = [_walk(day, 100, 0) for day in range(DAYS)]
    walk[150] = 0.0
    done = cli("market", "import", write_candles(walk, name="BTCUSD-1d.csv"))
    assert "rejected" in done.err
    portfolio("2024-01-02,buy,BTC,20,100,5,")
    found = _report(cli, "--window", "120")
    assert (found["observations"], found["missing"]) == (118, 2)
    assert found["max_drawdown"] < 1


def test_an_unknown_benchmark_is_not_found(measured: Cli) -> None:
    done = measured("risk", "report", "Main", "--benchmark", "nope")
    assert done.code == 3
    assert "No prices of the benchmark NOPE are held." in done.err


def test_a_report_is_kept_once_and_listed(measured_apart: Cli) -> None:
    assert "No report is kept." in measured_apart("risk", "history", "Main").out
    first, second = _report(measured_apart), _report(measured_apart)
    assert first["id"] == second["id"]
    other = _report(measured_apart, "--window", "90")
    listed = measured_apart("risk", "history", "Main", "--json").document["reports"]
    assert {each["id"] for each in listed} == {first["id"], other["id"]}
    text = measured_apart("risk", "history", "Main").out
    assert first["id"] in text
    assert other["id"] in text
    assert (
        f"Kept as {first['id']}" in measured_apart("risk", "report", "Main", "--as-of", AS_OF).out
    )


def test_a_kept_report_computes_to_the_same(measured: Cli) -> None:
    kept = _report(measured)
    done = measured("risk", "recompute", kept["id"], "--json")
    assert done.code == 0
    assert done.document["identical"] is True
    assert done.document["differs"] == []
    assert done.document["kept"] == kept
    assert done.document["recomputed"] == kept | {"id": None}
    text = measured("risk", "recompute", kept["id"])
    assert text.out.endswith(f"Identical to the report kept as {kept['id']}.\n")


def test_a_revised_price_makes_a_new_report_and_leaves_the_old(
    measured_apart: Cli, write_candles: Callable[..., Path]
) -> None:
    old = _report(measured_apart)
    closes = [_walk(day, 100, 0) for day in range(DAYS)]
    closes[150] *= 1.5
    revised = measured_apart(
        "market", "import", write_candles(closes, name="BTCUSD-1d.csv"), "--json"
    )
    assert revised.document["files"][0]["updated"] == 1
    new = _report(measured_apart)
    assert new["id"] != old["id"]
    assert new["volatility"] > old["volatility"]
    assert measured_apart("risk", "recompute", old["id"], "--json").document["identical"] is True
    assert measured_apart("risk", "recompute", new["id"], "--json").document["identical"] is True


def test_a_backdated_transaction_makes_a_new_report_and_leaves_the_old(
    measured_apart: Cli, write_transactions: Callable[..., Path]
) -> None:
    old = _report(measured_apart)
    path = write_transactions("2024-02-01,buy,BTC,10,100,,", name="late.csv")
    assert measured_apart("portfolio", "import", "Main", path).code == 0
    new = _report(measured_apart)
    assert new["id"] != old["id"]
    assert new["total_value_usd"] != old["total_value_usd"]
    again = measured_apart("risk", "recompute", old["id"], "--json").document
    assert again["identical"] is True
    assert again["recomputed"]["total_value_usd"] == old["total_value_usd"]


def test_a_report_that_is_not_kept_is_not_found(shared: Cli) -> None:
    done = shared("risk", "recompute", "6fa459ea-ee8a-3ca4-894e-db77e160355e")
    assert done.code == 3
    assert "history lists them" in done.err


def test_attribution_sums_to_the_report(measured: Cli) -> None:
    found = _report(measured, "--window", "120", "--attribution")
    parts = found["attribution"]
    assert parts["by"] == "asset"
    for each in parts["measures"][:3]:
        assert each["total"] == found[each["measure"]]
        added = sum(part["component"] for part in each["parts"])
        assert added == pytest.approx(each["total"], rel=1e-12)
    assert "attribution" not in _report(measured, "--window", "120")
    shown = measured("risk", "report", "Main", "--as-of", AS_OF, "--by", "class").out
    assert "Value at risk 95 %, one day: " in shown
    assert "diversification saves" in shown
    assert "fiat" in shown


def test_attribution_says_why_there_is_none(measured: Cli) -> None:
    report = ("risk", "report", "Main", "--as-of", AS_OF, "--window", "10", "--attribution")
    shown = measured(*report).out
    assert "not taken apart, needs at least 20 observations, has 10" in shown
    wrong = measured(*report, "--by", "colour")
    assert wrong.code == 4
    assert "asset, class, chain, exchange, strategy" in wrong.err
