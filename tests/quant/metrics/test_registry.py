"""The registry's records tell the truth about their functions."""

import math

import numpy as np
import pytest

from seawall.quant.metrics.metric import Input, too_few
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.types import FloatArray

OF_RETURNS = [
    slug
    for slug, metric in REGISTRY.items()
    # Few returns, and normal ones, are mostly outside of Cornish and Fisher's domain.
    if metric.takes is Input.RETURNS and not slug.endswith("_cornish_fisher")
]
OF_PAIRS = [
    slug
    for slug, metric in REGISTRY.items()
    if metric.takes in {Input.BENCHMARK, Input.BTC, Input.SP500}
]


def varied(size: int) -> FloatArray:
    return np.random.default_rng(2).normal(0, 0.02, size) - 0.001


def test_slugs_are_what_the_records_are_filed_under() -> None:
    assert all(slug == metric.slug for slug, metric in REGISTRY.items())


@pytest.mark.parametrize("slug", REGISTRY)
def test_each_record_is_complete(slug: str) -> None:
    metric = REGISTRY[slug]
    assert metric.name
    assert metric.formula
    assert metric.source
    assert metric.function.__doc__


@pytest.mark.parametrize("slug", OF_RETURNS)
def test_the_minimum_of_observations_is_where_a_metric_begins(slug: str) -> None:
    metric = REGISTRY[slug]
    assert math.isnan(metric.function(varied(metric.min_observations - 1)))
    # Two returns of which one is a loss, for the ratios; a track record has to be one of gains.
    least = varied(metric.min_observations)
    assert math.isfinite(metric.function(least)) or math.isfinite(metric.function(-least))


@pytest.mark.parametrize("slug", OF_PAIRS)
def test_the_minimum_of_pairs_is_where_a_metric_begins(slug: str) -> None:
    metric = REGISTRY[slug]
    x, y = varied(10), np.cos(np.arange(10.0))
    n = metric.min_observations
    assert math.isnan(metric.function(x[: n - 1], y[: n - 1]))
    assert math.isfinite(metric.function(x[:n], y[:n]))


def test_it_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        REGISTRY["beta"] = REGISTRY["volatility"]  # type: ignore[index]


def test_reasons_name_what_is_needed() -> None:
    assert too_few(2, 1) == "needs at least 2 observations, has 1"
    assert too_few(1, 0) == "needs at least 1 observation, has 0"
    assert too_few(2, 2) == ""
    assert REGISTRY["sharpe_ratio"].why_undefined(50) == "no variance"
