"""Entropic value at risk against scipy's minimiser, and as the bound that it is."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from seawall.quant.metrics.tail import expected_shortfall
from seawall.quant.metrics.tail_entropic import (
    entropic_value_at_risk,
    entropic_value_at_risk_error,
)
from seawall.quant.types import FloatArray

R = np.random.default_rng(5).standard_t(4, 365) * 0.03 + 0.001


def minimised(returns: FloatArray, confidence: float) -> float:
    def at(log_t: float) -> float:
        t = math.exp(log_t)
        mean = logsumexp(-returns / t) - math.log(returns.size)
        return float(t * (mean - math.log(1 - confidence)))

    return float(
        minimize_scalar(at, bounds=(-12, 3), method="bounded", options={"xatol": 1e-10}).fun
    )


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_it_is_the_minimum_that_scipy_finds(confidence: float) -> None:
    assert entropic_value_at_risk(R, confidence) == pytest.approx(
        minimised(R, confidence), rel=1e-9
    )


def test_it_is_skfolios() -> None:
    from skfolio.measures import evar  # noqa: PLC0415

    assert entropic_value_at_risk(R) == pytest.approx(evar(R, beta=0.95), rel=1e-4)


def test_it_bounds_the_shortfall_and_is_bounded_by_the_worst_day() -> None:
    for confidence in (0.9, 0.95, 0.99):
        assert entropic_value_at_risk(R, confidence) >= expected_shortfall(R, confidence)
        assert entropic_value_at_risk(R, confidence) <= -R.min() + 1e-15


def test_it_moves_and_grows_with_returns() -> None:
    assert entropic_value_at_risk(2 * R + 0.01) == pytest.approx(
        2 * entropic_value_at_risk(R) - 0.01, rel=1e-9
    )
    assert entropic_value_at_risk(1e-5 * R) == pytest.approx(
        1e-5 * entropic_value_at_risk(R), rel=1e-9
    )


def test_two_together_have_no_more_than_each() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        x, y = rng.standard_t(3, (2, 100)) * 0.02
        together = entropic_value_at_risk(x + y)
        assert together <= entropic_value_at_risk(x) + entropic_value_at_risk(y) + 1e-12


def test_a_tail_of_one_day_is_that_day_and_what_never_varies_its_loss() -> None:
    assert entropic_value_at_risk(R[:20]) == -R[:20].min()
    assert entropic_value_at_risk(np.full(50, -0.002)) == 0.002
    assert math.isnan(entropic_value_at_risk_error(R[:20]))
    assert math.isnan(entropic_value_at_risk(R[:19]))
    assert math.isnan(entropic_value_at_risk(np.append(R, math.nan)))


def test_its_error_is_what_it_scatters_by() -> None:
    rng = np.random.default_rng(1)
    values = [entropic_value_at_risk(rng.normal(0, 0.02, 2000)) for _ in range(200)]
    error = entropic_value_at_risk_error(rng.normal(0, 0.02, 2000))
    assert error == pytest.approx(np.std(values), rel=0.4)
