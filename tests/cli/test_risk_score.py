"""Scores through the command line."""

import math
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]
AS_OF = ("--as-of", "2024-05-01")


@pytest.fixture
def held(cli: Cli, write_candles: Callable[..., Any]) -> Cli:
    """Four months of a coin."""
    closes = [round(100 + 8 * math.sin(at * 1.7) + 5 * math.sin(at * 0.31), 4) for at in range(121)]
    assert cli("market", "import", write_candles(closes)).code == 0
    return cli


def test_scores_are_shown_explained_kept_and_the_same_again(held: Cli) -> None:
    looked = held("risk", "score", *AS_OF, "--no-store", "--json").document["scores"]
    assert [each["asset"] for each in looked] == ["BTC"]
    assert held("risk", "score", "--recompute", "--json").document == {"scores": []}
    made = held("risk", "score", "btc", *AS_OF, "--json").document["scores"][0]
    assert made["score"] == looked[0]["score"]
    assert sum(each["contribution"] for each in made["components"]) == pytest.approx(made["score"])
    told = held("risk", "score", *AS_OF).out
    assert "volatility" in told
    assert made["level"] in told
    explained = held("risk", "score", *AS_OF, "--explain").out
    assert "missing: no market capitalisation" in explained
    assert "% a day" in explained
    again = held("risk", "score", "--recompute")
    assert again.code == 0
    assert "BTC as of 2024-05-01: identical." in again.out


def test_what_is_not_known_is_refused(cli: Cli) -> None:
    assert "There is no coin to score yet" in cli("risk", "score").out
    assert cli("risk", "score", "NOCOIN").code == 3
