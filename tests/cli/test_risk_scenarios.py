"""Scenarios through the command line: a table to read, one document, history, and refusals."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Make = Callable[..., Any]
DAYS = 200
AS_OF = "2024-07-01"
ROWS = (
    "2024-01-01,deposit,USD,10000,,,",
    "2024-01-02,buy,BTC,20,100,5,",
    "2024-01-02,buy,ETH,10,200,5,",
    "2024-01-02,buy,USDT,1000,1,,",
)
EVENTS = ("The top of 2017", "January 2018", "The crash of March 2020", "May 2021")


def _walk(at: int, scale: float, phase: float) -> float:
    wave = math.sin(at * 1.7 + phase) + 0.5 * math.sin(at * 0.31)
    return round(scale * (1 + 0.04 * wave + at / 2_000), 4)


@pytest.fixture
def stressed(cli: Cli, portfolio: Make, write_candles: Callable[..., Path]) -> Cli:
    """Hold 200 days of two assets, and a portfolio of them."""
    files = (
        write_candles([_walk(day, 100, 0) for day in range(DAYS)], name="BTCUSD-1d.csv"),
        write_candles([_walk(day, 200, 1) for day in range(DAYS)], name="ETHUSD-1d.csv"),
    )
    assert cli("market", "import", *files).code == 0
    portfolio(*ROWS)
    return cli


@pytest.fixture(scope="module")
def cash(shared: Any) -> Cli:
    """A portfolio of cash alone, for all that ask of it."""
    shared.portfolio("2024-01-01,deposit,USD,10000,,,")
    return shared  # type: ignore[no-any-return]


def _run(cli: Cli, *options: object) -> Any:
    return cli("risk", "scenarios", "Main", "--as-of", AS_OF, *options)


def test_without_a_choice_all_are_run_shown_and_kept_once(stressed: Cli) -> None:
    assert "No stress test is kept." in stressed("risk", "scenarios", "Main", "--history").out
    done = _run(stressed)
    assert done.code == 0
    for name in (*EVENTS, "Every stablecoin at 0.9 USD", "Correlations of 1"):
        line = next(line for line in done.out.splitlines() if line.startswith(name))
        assert "%" in line
    assert "August 2024" in done.out
    assert "the event was not over then" in done.out
    assert "No prices of BTC of then are held" in done.out
    found = _run(stressed, "--json").document["results"]
    assert len(found) == 11
    by_slug = {each["scenario"]: each for each in found}
    assert by_slug["depeg-stablecoins"]["loss_usd"] == "100"
    assert by_slug["reverse"]["loss"] == pytest.approx(0.2)
    assert by_slug["2024-08-05"]["loss"] is by_slug["2024-08-05"]["id"] is None
    kept = stressed("risk", "scenarios", "Main", "--history", "--json").document["stress_tests"]
    assert {each["id"] for each in kept} == {each["id"] for each in found} - {None}
    assert len(kept) == 10
    text = stressed("risk", "scenarios", "Main", "--history", "--limit", "3")
    assert by_slug["reverse"]["id"] in stressed("risk", "scenarios", "Main", "--history").out
    assert "There may be more" in text.err


def test_a_kept_one_computes_to_the_same(stressed: Cli) -> None:
    made = _run(stressed, "--correlation", "0.9", "--json").document["results"][0]
    done = stressed("risk", "scenarios", "--recompute", made["id"])
    assert done.code == 0
    assert done.out.endswith(f"Identical to the one kept as {made['id']}.\n")
    document = stressed("risk", "scenarios", "--recompute", made["id"], "--json").document
    assert document["identical"] is True
    assert document["recomputed"]["loss_usd"] == made["loss_usd"]


def test_options_choose_what_is_run(stressed: Cli, tmp_path: Path) -> None:
    shocks = tmp_path / "mine.toml"
    shocks.write_text('[mine.shocks]\nall = "-10%"\n', encoding="utf-8")
    done = _run(
        *(stressed, "--scenario", "2018-01", "--shock", "btc=-40%", "--rest", "beta"),
        *("--shocks", shocks, "--depeg", "usdt=0.87", "--default-of", "manual"),
        *("--recovery", "0.1", "--liquidity", "--participation", "0.2", "--horizon", "3"),
        *("--correlation", "0.5", "--strength", "0.5", "--confidence", "0.99"),
        *("--reverse", "10%", "--t-tailed", "--details"),
    )
    assert done.code == 0, done.err
    for title in (
        "January 2018",
        "shocks: BTC -40 %",
        "mine: all -10 %",
        "USDT at 0.87 USD",
        "Default of manual, 10% paid back",
        "Correlations 50% of the way to 0.5",
        "Selling at 20 % of the volume for 3 days",
        "The smallest shock that loses 10 %",
    ):
        assert done.out.count(f"\n{title}") >= 2, title
    assert "Student-t errors" in done.out
    assert "returns" in done.out
    assert "deviations of 3 days" in done.out
    assert "volatility before" in done.out


def test_the_scenarios_are_listed_without_a_portfolio(shared: Cli) -> None:
    text = shared("risk", "scenarios", "--list").out
    assert "luna-2022-05" in text
    assert "-64.9%" in text
    document = shared("risk", "scenarios", "--list", "--json").document
    assert [each["slug"] for each in document["events"]][-1] == "2024-08-05"
    assert {each["slug"] for each in document["others"]} == {
        *("depeg-stablecoins", "correlations", "liquidity", "reverse")
    }


@pytest.mark.parametrize("slug", ["all", "correlations", "liquidity", "reverse", "FTX-2022-11"])
def test_each_standing_scenario_is_run_by_its_slug(cash: Cli, slug: str) -> None:
    found = _run(cash, "--scenario", slug, "--json").document["results"]
    assert len(found) == (11 if slug == "all" else 1)
    assert slug == "all" or found[0]["scenario"] == slug.lower()


def test_what_makes_no_sense_is_refused(cash: Cli) -> None:
    for code, said, options in (
        (3, "There is no scenario 'nope'", ("--scenario", "nope")),
        (3, "There is no asset NOPE", ("--shock", "NOPE=-10%")),
        (3, "There is no asset USDT", ("--depeg", "USDT=0.9")),
        (3, "Nothing is held at 'binance'", ("--default-of", "Binance")),
        (3, "cannot be read", ("--shocks", "/nowhere.toml")),
        (4, "nothing loses more than all", ("--shock", "BTC=-140%")),
        (4, "nothing loses more than all", ("--shock", "BTC=-40")),
        (4, "is not NAME=VALUE", ("--shock", "BTC")),
        (4, "The rest cannot be", ("--shock", "USD=-1%", "--rest", "all")),
        (4, "cannot have a price", ("--depeg", "USDT=-1")),
        (4, "A recovery rate of 2.0", ("--default-of", "x", "--recovery", "2")),
        (4, "cannot all have", ("--correlation", "1.5")),
        (4, "share of the volume", ("--liquidity", "--participation", "0")),
        (4, "to look for", ("--reverse", "0%")),
        (4, "A window of 0", ("--window", "0")),
    ):
        done = _run(cash, *options)
        assert done.code == code, (options, done)
        assert said in done.err
    assert cash("risk", "scenarios").code == 2
    assert cash("risk", "scenarios", "Nobody").code == 3
    unknown = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
    assert cash("risk", "scenarios", "--recompute", unknown).code == 3
