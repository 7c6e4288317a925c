"""Shocks as they are written: percents and fractions, selectors, TOML and JSON."""

from pathlib import Path

import pytest

from seawall.core.errors import InvalidError, NotFoundError
from seawall.risk.scenarios.given import parse_fraction, parse_rest, parse_shock, read_shock_file
from seawall.risk.scenarios.record import read_question, write_question
from seawall.risk.scenarios.schemas import (
    Basis,
    Default,
    Depeg,
    Historical,
    Rest,
    Reverse,
    Scenario,
    Selling,
    Shocks,
    Together,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-40%", -0.4), ("-0.4", -0.4), (" +25 % ", 0.25), ("0", 0.0), (".5", 0.5), ("-100%", -1.0)],
)
def test_a_fraction_is_read(text: str, expected: float) -> None:
    assert parse_fraction(text, "shock") == expected


@pytest.mark.parametrize("text", ["", "a lot", "1e3", "nan", "inf", "-40%%", "4,0", "--4", "٣%"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is not a number"):
        parse_fraction(text, "shock")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("btc=-40%", ("BTC", -0.4)),
        ("Kind:Stablecoin=-5%", ("kind:stablecoin", -0.05)),
        ("chain:Solana = -0.6", ("chain:solana", -0.6)),
        ("ALL=-30%", ("all", -0.3)),
    ],
)
def test_a_shock_is_read(text: str, expected: tuple[str, float]) -> None:
    assert parse_shock(text) == expected


@pytest.mark.parametrize("text", ["BTC", "=-40%", "BTC=", "", "="])
def test_a_shock_without_a_name_or_a_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is not NAME=VALUE"):
        parse_shock(text)


def test_the_rest_is_none_or_beta() -> None:
    assert parse_rest("beta") is Rest.BETA
    with pytest.raises(InvalidError, match="The rest cannot be 'gamma'"):
        parse_rest("gamma")


TOML = (
    '[crash]\nrest = "beta"\nshocks = { BTC = "-40%", eth = -0.5 }\n[dull.shocks]\nall = "-10%"\n'
)
JSON = '{"crash": {"rest": "beta", "shocks": {"BTC": "-40%", "eth": -0.5}}, "dull": {"shocks": {"all": "-10%"}}}'  # noqa: E501 - one line of JSON


@pytest.mark.parametrize(("name", "content"), [("a.toml", TOML), ("a.json", JSON)])
def test_a_file_holds_scenarios_by_name(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_shock_file(path) == [
        Shocks("crash", (("BTC", -0.4), ("ETH", -0.5)), Rest.BETA),
        Shocks("dull", (("all", -0.1),)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "[crash", "neither TOML nor JSON"),
        ("a.json", "{", "neither TOML nor JSON"),
        ("a.json", "[1]", "has no scenario"),
        ("a.toml", "", "has no scenario"),
        ("a.toml", "crash = 3", "no table of shocks"),
        ("a.toml", "[crash]\nrest = 'beta'", "no table of shocks"),
        ("a.toml", "[crash.shocks]", "has no shock"),
        ("a.toml", "[crash]\nshocks = {BTC = -0.1}\nwhy = 1", "has why, which is not known"),
        ("a.toml", "[crash.shocks]\nBTC = -40", "nothing loses more than all"),
        ("a.toml", "[crash.shocks]\nBTC = nan", "is not a number"),
        ("a.toml", "['" + "x" * 90 + "'.shocks]\nBTC = -0.1", "cannot name a scenario"),
    ],
)
def test_a_file_that_says_something_else_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidError, match=said):
        read_shock_file(path)


def test_a_file_that_is_not_there_is_not_found_and_a_huge_one_not_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_shock_file(tmp_path / "none.toml")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidError, match="too large"):
        read_shock_file(huge)


SCENARIOS = (
    Historical("ftx-2022-11"),
    Shocks("mine", (("BTC", -0.4), ("kind:stablecoin", -0.05)), Rest.BETA),
    Depeg("USDT", 0.87),
    Default("binance", 0.1),
    Together(0.9, 0.5, 0.99),
    Selling(0.05, 10),
    Reverse(0.3, 10),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.slug)
def test_a_question_is_read_as_it_was_written(scenario: Scenario) -> None:
    basis = Basis(120, t_tailed=True)
    assert read_question(write_question(scenario, basis)) == (scenario, basis)


def test_another_programs_question_is_refused() -> None:
    with pytest.raises(InvalidError, match="cannot be repeated"):
        read_question({})


def test_questions_out_of_range_are_refused() -> None:
    for wrong, said in (
        (lambda: Basis(0), "A window of 0"),
        (lambda: Shocks("x", (("BTC", -1.1),)), "nothing loses more"),
        (lambda: Shocks("x", (("BTC", float("inf")),)), "nothing loses more"),
        (lambda: Shocks("", (("BTC", -0.1),)), "cannot name"),
        (lambda: Depeg("USDT", -0.1), "cannot have a price"),
        (lambda: Depeg("USDT", float("nan")), "cannot have a price"),
        (lambda: Default("x", 1.1), "recovery rate"),
        (lambda: Default("x", float("nan")), "recovery rate"),
        (lambda: Reverse(0), "to look for"),
        (lambda: Reverse(1.1), "to look for"),
        (lambda: Reverse(0.1, 0), "days are not above 0"),
    ):
        with pytest.raises(InvalidError, match=said):
            wrong()
