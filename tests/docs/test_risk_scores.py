"""The page of scores says what the real prices say, and the code holds what was fitted on them."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seawall.quant.scores import SCALES, WEIGHTS, Component


@pytest.fixture(scope="module")
def script() -> Any:
    """The script, which is no part of the package."""
    path = Path(__file__).parents[2] / "scripts" / "risk_scores.py"
    spec = importlib.util.spec_from_file_location("risk_scores_script", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def panel(script: Any, real_data: Path) -> Any:
    """What was known at the start of each period, and what followed."""
    return script.build_panel(script.read_histories(real_data / "daily"))


def test_the_page_is_what_the_prices_say(script: Any, panel: Any) -> None:
    made = script.calibration(panel)
    page = script.PAGE.read_text(encoding="utf-8")
    shown = page.partition(script.BEGIN)[2].partition(script.END)[0]
    assert shown.strip() == made


def test_the_score_ranks_better_than_volatility_alone(script: Any, panel: Any) -> None:
    predicted = script.predict(panel)
    score = script.rank(panel, predicted[script.SCORE])
    assert score.mean > 0.6
    for rival in script.RIVALS:
        difference = score.by_period - script.rank(panel, predicted[rival]).by_period
        assert script.interval(difference)[0] > 0, rival


def test_the_future_does_not_change_what_was_predicted(script: Any, panel: Any) -> None:
    first = script.predict(panel)[script.SCORE]
    shuffled = panel.drawdowns.copy()
    late = panel.periods >= 60
    shuffled[late] = np.random.default_rng(1).permutation(shuffled[late])
    again = script.predict(replace(panel, drawdowns=shuffled))[script.SCORE]
    until = panel.periods <= 60
    np.testing.assert_array_equal(again[until], first[until])
    assert not np.array_equal(again[~until], first[~until])


def test_the_code_holds_what_was_fitted(script: Any, panel: Any) -> None:
    scales, weights = script.fit(panel, np.ones(len(panel.periods), bool))
    share = sum(WEIGHTS[each] for each in script.FITTED)
    for each, weight in zip(script.FITTED, weights, strict=True):
        assert SCALES[each].centre == pytest.approx(scales[each].centre, rel=0.03)
        assert SCALES[each].width == pytest.approx(scales[each].width, rel=0.03)
        assert WEIGHTS[each] == pytest.approx(share * weight, abs=0.006)
    assert scales[Component.AGE].width < 0
