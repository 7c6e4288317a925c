"""Standard errors and intervals: equal to theory's, and as wide as repeated histories say."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.metrics import inference
from seawall.quant.metrics.inference import Interval, draw, uncertainty
from seawall.quant.metrics.metric import Inference, Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.types import FloatArray

R = np.random.default_rng(5).standard_t(6, 365) * 0.03 + 0.001
B = 0.6 * R + np.random.default_rng(6).standard_t(5, 365) * 0.02


def found(slug: str, *inputs: FloatArray) -> Interval:
    interval = uncertainty(REGISTRY[slug], *inputs)
    assert interval is not None
    return interval


@pytest.mark.parametrize("slug", REGISTRY)
def test_records_and_functions_of_inference_belong_together(slug: str) -> None:
    metric = REGISTRY[slug]
    by_theory = metric.inference in {Inference.STANDARD_ERROR, Inference.FISHER}
    assert by_theory == (metric.standard_error is not None)


def test_fishers_interval_is_scipys() -> None:
    theirs = stats.pearsonr(R, B).confidence_interval(0.95)
    ours = found("correlation", R, B)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    ranks = found("rank_correlation", R, B)
    # Bonett & Wright's error is larger than Fisher's own.
    assert math.atanh(ranks.high) - math.atanh(ranks.low) > math.atanh(ours.high) - math.atanh(
        ours.low
    )


def test_what_correlates_perfectly_has_no_width() -> None:
    assert found("correlation", R, R) == Interval(1.0, 1.0)


def test_the_line_s_intervals_are_those_of_least_squares() -> None:
    line = stats.linregress(B, R)
    assert found("beta", R, B).standard_error == pytest.approx(line.stderr, rel=1e-9)
    assert found("alpha", R, B).standard_error == pytest.approx(
        line.intercept_stderr * 365, rel=1e-9
    )


def test_an_interval_is_as_far_from_the_figure_as_its_error_says() -> None:
    interval = found("volatility", R)
    assert interval.standard_error is not None
    reach = stats.norm.ppf(0.975) * interval.standard_error
    middle = float(REGISTRY["volatility"].function(R))
    assert (interval.low, interval.high) == pytest.approx((middle - reach, middle + reach))
    wider = uncertainty(REGISTRY["volatility"], R, level=0.99)
    assert wider is not None
    assert wider.low < interval.low < interval.high < wider.high


@pytest.mark.parametrize("slug", ["volatility", "sharpe_ratio", "skewness", "kurtosis"])
def test_standard_errors_are_the_spread_over_repeated_normal_histories(slug: str) -> None:
    metric = REGISTRY[slug]
    assert metric.standard_error is not None
    histories = np.random.default_rng(2).normal(0.001, 0.02, (2_000, 400))
    spread = np.std([float(metric.function(each)) for each in histories])
    errors = np.mean([metric.standard_error(each) for each in histories[:200]])
    assert errors == pytest.approx(spread, rel=0.06)


def test_the_bootstrap_s_spread_of_a_mean_like_figure_is_theory_s() -> None:
    # Of independent returns the resampled Sharpe ratio spreads as Mertens' error says.
    resampled = dataclasses.replace(REGISTRY["sharpe_ratio"], inference=Inference.BOOTSTRAP)
    interval, theory = uncertainty(resampled, R), found("sharpe_ratio", R)
    assert interval is not None
    assert interval.standard_error is None
    assert interval.high - interval.low == pytest.approx(theory.high - theory.low, rel=0.15)


@pytest.mark.parametrize(
    "slug", [slug for slug, each in REGISTRY.items() if each.inference is Inference.BOOTSTRAP]
)
def test_bootstrap_intervals_are_the_same_every_time(slug: str) -> None:
    metric = REGISTRY[slug]
    matrix = np.column_stack((R, B))
    inputs = {
        Input.RETURNS: (R,),
        Input.HOLDINGS: (np.array([0.7, 0.3]), matrix),
    }.get(metric.takes, (R, B))
    picks = draw(R, B)
    assert picks is not None
    picks = picks[:100]
    once = uncertainty(metric, *inputs, picks=picks)
    again = uncertainty(metric, *inputs, picks=picks.copy())
    assert once is not None
    assert once == again
    assert once.low <= once.high


def test_too_few_days_make_no_other_histories() -> None:
    assert draw(R[: inference.FEWEST_DAYS - 1]) is None
    assert draw() is None
    assert uncertainty(REGISTRY["max_drawdown"], R[:19]) is None
    assert uncertainty(REGISTRY["max_drawdown"], R[:20]) is not None


def test_what_is_undefined_has_no_interval() -> None:
    still = np.zeros(100)
    for slug in ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "kurtosis", "volatility"):
        assert uncertainty(REGISTRY[slug], still) is None, slug
    assert uncertainty(REGISTRY["herfindahl_index"], np.array([0.5, 0.5])) is None
    assert uncertainty(REGISTRY["beta"], R[:2], B[:2]) is None
    # One loss: many of the resampled histories have none.
    once = np.abs(R) + 0.001
    once[50] = -0.01
    assert uncertainty(REGISTRY["sortino_ratio"], once) is None


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_a_level_outside_zero_to_one_is_refused(level: float) -> None:
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        uncertainty(REGISTRY["volatility"], R, level=level)
