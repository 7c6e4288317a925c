"""Scores stay within 0 and 100, add up, rise with each input, and say what they lack."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.quant.scores import (
    HALF_LIFE,
    SCALES,
    STATUSES,
    WEIGHTS,
    Component,
    Level,
    Scale,
    combine,
    daily_move,
    illiquidity,
    level_of,
    realised_drawdown,
)

SCORES = st.floats(0, 100) | st.just(math.nan)
KNOWN = st.dictionaries(st.sampled_from(Component), SCORES)
INPUTS = st.floats(0, 1e300) | st.just(math.inf)


@given(KNOWN)
def test_contributions_add_up_to_a_score_within_its_bounds(scores: dict[Component, float]) -> None:
    made = combine(scores)
    if math.isnan(scores.get(Component.VOLATILITY, math.nan)):
        assert made is None
        return
    assert made is not None
    known = {each for each, score in scores.items() if not math.isnan(score)}
    assert made.parts.keys() == known
    assert 0 <= made.value <= 100
    assert math.fsum(part.contribution for part in made.parts.values()) == pytest.approx(made.value)
    assert math.fsum(part.weight for part in made.parts.values()) == pytest.approx(1)
    assert made.level is level_of(made.value)


@given(KNOWN, st.sampled_from(Component), st.floats(0, 100), st.floats(0, 100))
def test_a_riskier_component_never_lowers_a_score(
    scores: dict[Component, float], component: Component, one: float, other: float
) -> None:
    whole = {Component.VOLATILITY: 50.0} | scores
    low = combine(whole | {component: min(one, other)})
    high = combine(whole | {component: max(one, other)})
    if low is None or high is None:
        assert math.isnan(whole[Component.VOLATILITY])
        return
    assert low.value <= high.value + 1e-9


@given(KNOWN, st.randoms(use_true_random=False))
def test_the_order_of_components_does_not_matter(
    scores: dict[Component, float], rng: Random
) -> None:
    mixed = list(scores.items())
    rng.shuffle(mixed)
    assert combine(dict(mixed)) == combine(scores)


@given(st.sampled_from(sorted(SCALES)), INPUTS, INPUTS)
def test_a_scale_is_monotone_and_keeps_its_bounds(
    component: Component, one: float, other: float
) -> None:
    scale = SCALES[component]
    low, high = scale.score(min(one, other)), scale.score(max(one, other))
    assert 0 <= low <= 100
    assert 0 <= high <= 100
    assert low <= high if scale.width > 0 else low >= high


def test_a_scale_is_50_at_its_centre_and_undefined_below_0() -> None:
    assert Scale(3.0, 2.0).score(3.0) == 50
    assert math.isnan(Scale(3.0, 2.0).score(-1.0))
    assert math.isnan(Scale(3.0, 2.0).score(math.nan))


def test_weights_add_up_and_words_are_in_order() -> None:
    assert math.fsum(WEIGHTS.values()) == pytest.approx(1)
    assert WEIGHTS.keys() == set(Component)
    audits, teams = STATUSES[Component.AUDIT], STATUSES[Component.TEAM]
    assert audits["audited"] < audits["unaudited"] < audits["known_issues"]
    assert teams["doxxed"] < teams["partial"] < teams["anonymous"]


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, "low"), (24.99, "low"), (25, "medium"), (50, "high"), (75, "extreme"), (100, "extreme")],
)
def test_levels_meet_at_quarters(score: float, level: str) -> None:
    assert level_of(score) is Level(level)


def test_what_is_missing_gives_its_weight_to_the_rest() -> None:
    made = combine({Component.VOLATILITY: 80.0, Component.SIZE: 20.0})
    assert made is not None
    assert made.value == pytest.approx((80 * 0.30 + 20 * 0.10) / 0.40)
    assert combine({Component.SIZE: 20.0}) is None


def test_the_daily_move_is_what_its_formula_says() -> None:
    returns = np.random.default_rng(3).normal(0, 0.04, 200)
    weights = 0.5 ** (np.arange(200)[::-1] / HALF_LIFE)
    recent = np.sqrt(np.average(returns**2, weights=weights))
    expected = np.sqrt(np.mean(np.abs(returns)) * recent)
    assert daily_move(returns) == pytest.approx(expected, rel=1e-12)
    gaps = np.insert(returns, 50, np.nan)
    assert daily_move(gaps) == daily_move(returns)


@pytest.mark.parametrize("returns", [[], [0.1], [math.nan] * 100, [0.1] * 29])
def test_too_few_returns_have_no_daily_move(returns: list[float]) -> None:
    assert math.isnan(daily_move(returns))


def test_a_price_that_never_moves_has_no_risk_of_moving() -> None:
    assert daily_move(np.zeros(100)) == 0
    assert SCALES[Component.VOLATILITY].score(0.0) == 0


@settings(max_examples=30)
@given(st.floats(1e-3, 1e3))
def test_twice_the_volume_is_half_as_illiquid(times: float) -> None:
    rng = np.random.default_rng(5)
    returns, volumes = rng.normal(0, 0.03, 90), rng.uniform(1e6, 1e8, 90)
    found = illiquidity(returns, volumes * times)
    assert found == pytest.approx(np.mean(np.abs(returns) / volumes) / times)


def test_days_without_a_volume_are_left_out() -> None:
    returns, volumes = np.full(60, 0.02), np.full(60, 1e6)
    volumes[:15] = np.nan
    volumes[15:30] = 0
    assert illiquidity(returns, volumes) == pytest.approx(2e-8)
    volumes[30] = np.nan
    assert math.isnan(illiquidity(returns, volumes))
    with pytest.raises(InvalidError, match="do not go together"):
        illiquidity(returns, volumes[1:])


def test_a_realised_drawdown_is_from_the_highest_so_far() -> None:
    assert realised_drawdown([100, 120, math.nan, 60, 90]) == 0.5
    assert realised_drawdown([1, 2, 3]) == 0
    assert math.isnan(realised_drawdown([math.nan]))
