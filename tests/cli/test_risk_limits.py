"""Limits through the command line: set, shown with what is used, broken, resolved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
ROWS = ("2024-01-01,deposit,USD,1000,,,", "2024-01-02,buy,USDC,900,1,,")


@pytest.fixture
def held(cli: Cli, portfolio: Callable[..., Any]) -> Cli:
    """A portfolio of 100 USD and 900 USDC, which counts as USD."""
    portfolio(*ROWS)
    return cli


def _limits(cli: Cli, *options: str, code: int = 0) -> Any:
    done = cli("risk", "limits", *options, "--json")
    assert done.code == code, done
    return done.document


def test_limits_are_set_shown_broken_and_taken_away(held: Cli) -> None:
    assert "No limits of Main are set" in held("risk", "limits", "Main").out
    made = _limits(
        held,
        "Main",
        *("--set", "max_weight=95%", "--set", "max_position_value=600"),
        *("--block", "max-weight"),
    )
    weight, position = sorted(made["limits"], key=lambda each: each["name"], reverse=True)
    assert (weight["used"], weight["about"], weight["blocks"]) == (0.9, "USDC", True)
    assert (weight["state"], round(weight["headroom"], 9)) == ("kept", 0.05)
    assert (position["used"], position["headroom"]) == ("900", "-300")
    assert (position["state"], position["blocks"], position["share"]) == ("broken", False, 1.5)
    assert [each["severity"] for each in made["events"]] == ["warning"]
    text = held("risk", "limits", "Main").out
    assert "Largest position" in text
    assert "USDC warning since" in text
    _limits(held, "Main", "--check", code=5)
    raised = _limits(held, "Main", "--set", "max_position_value=1000", "--check")
    assert not raised["events"]
    assert len(raised["resolved"]) == 1
    assert len(_limits(held, "Main", "--events")["events"]) == 1
    gone = _limits(held, "Main", "--unset", "max_position_value", "--unset", "max_weight")
    assert not gone["limits"]


def test_an_event_is_resolved_by_its_id(held: Cli) -> None:
    _limits(held, "--set", "max_position_value=600")
    event = _limits(held, "--events")["events"][0]
    assert held("risk", "limits", "--resolve", event["id"]).code == 0
    assert "by you" in held("risk", "limits", "--events").out
    assert held("risk", "limits", "--resolve", event["id"]).code == 5


def test_looking_opens_no_event(held: Cli, write_transactions: Callable[..., Path]) -> None:
    _limits(held, "--set", "max_weight=95%")
    more = write_transactions("2024-01-03,withdrawal,USD,100,,,", name="more.csv")
    assert held("portfolio", "import", "Main", more).code == 0
    looked = _limits(held)
    assert looked["limits"][0]["state"] == "broken"
    assert not looked["events"]
    assert "--check makes it an event" in held("risk", "limits").out
    assert not _limits(held, "--events")["events"]


def test_what_is_not_there_or_makes_no_sense_is_refused(held: Cli) -> None:
    assert held("risk", "limits", "Nobody").code == 3
    assert held("risk", "limits", "--account", "Nobody").code == 3
    assert held("risk", "limits", "Main", "--account", "Paper").code == 2
    assert held("risk", "limits", "Main", "--set", "max_drawdown=2").code == 4
    assert held("risk", "limits", "Main", "--set", "max_orders_per_hour=2").code == 4
    assert held("risk", "limits", "Main", "--block", "max_drawdown").code == 5
