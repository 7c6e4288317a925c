"""`seawall db seed` as it is met on the command line."""

from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_dev_is_made_once_and_shown_as_simulated(cli: Cli) -> None:
    made = cli("db", "seed", "--profile", "dev")
    assert made.code == 0
    assert made.out.startswith("SIMULATED DATA: the seed dev with 3 users")
    assert "3 users added" in made.out
    again = cli("db", "seed", "--profile", "dev", "--json").document
    assert (again["simulated"], again["users_added"]) == (True, 0)
    assert (again["seed"]["profile"], again["seed"]["users"]) == ("dev", 3)
    coverage = cli("market", "coverage", "--json").document
    assert {series["is_simulated"] for series in coverage["series"]} == {True}
    other = cli("db", "seed", "--profile", "perf", "--users", "1")
    assert other.code == 5
    assert "holds the seed dev" in other.err


def test_a_database_with_a_portfolio_is_left_alone(cli: Cli) -> None:
    assert cli("portfolio", "create", "Savings").code == 0
    for profile in ("dev", "perf"):
        refused = cli("db", "seed", "--profile", profile)
        assert refused.code == 5
        assert "portfolios that no seed put there" in refused.err
        assert "SEAWALL_DATABASE__NAME" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("--profile", "prod"), ("--profile", "dev", "--users", "5")],
)
def test_what_makes_no_sense_is_a_usage_error(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("db", "seed", *arguments).code == 2
