"""The GARCH(1,1) fit against the arch library, and where there is none."""

import math
import time
from typing import Any

import numpy as np
import pytest
from arch import arch_model

from seawall.core.errors import InvalidError
from seawall.quant.garch import Garch, fit_garch
from seawall.quant.types import FloatArray


def simulated(seed: int, size: int = 365, alpha: float = 0.1, beta: float = 0.85) -> FloatArray:
    """Draw daily returns with t shocks whose variance follows GARCH(1,1)."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(5, size + 200) * math.sqrt(3 / 5)
    returns, variance = np.empty(size + 200), 9e-4
    for t, shock in enumerate(shocks):
        returns[t] = math.sqrt(variance) * shock
        variance = 9e-4 * (1 - alpha - beta) + alpha * returns[t] ** 2 + beta * variance
    return returns[200:] + 0.001


def peers(fit: Garch, returns: FloatArray, **options: object) -> Any:
    """Fit the model of arch to the same shocks, in unit variance, after the same first day."""
    scale = math.sqrt(fit.start)
    model = arch_model((returns - returns.mean()) / scale, mean="Zero", rescale=False)
    return model.fit(disp="off", backcast=1.0, show_warning=False, **options)


@pytest.mark.parametrize("seed", range(6))
def test_the_fit_is_archs(seed: int) -> None:
    returns = simulated(seed)
    fit = fit_garch(returns)
    found = peers(fit, returns, options={"ftol": 1e-12, "maxiter": 1000})
    assert not fit.reason
    likelihood = found.loglikelihood - returns.size * math.log(math.sqrt(fit.start))
    # The better of the two is ours, where arch ends on another maximum; alpha + beta ends at 1 less
    # a millionth, where arch's may reach 1.
    assert fit.likelihood >= likelihood - 2e-4
    if abs(fit.likelihood - likelihood) < 1e-7:
        omega, alpha, beta = found.params
        assert (fit.omega / fit.start, fit.alpha, fit.beta) == pytest.approx(
            (omega, alpha, beta), abs=2e-5
        )
        volatility = found.conditional_volatility * math.sqrt(fit.start)
        np.testing.assert_allclose(np.sqrt(fit.variances[:-1]), volatility, rtol=2e-5)


def test_likelihood_variances_and_forecast_at_its_parameters_are_archs() -> None:
    returns = simulated(1)
    fit = fit_garch(returns)
    scale = math.sqrt(fit.start)
    model = arch_model((returns - returns.mean()) / scale, mean="Zero", rescale=False)
    fixed = model.fix([fit.omega / fit.start, fit.alpha, fit.beta])
    # `fix` has no say in the day before the first, so the recursion is run from ours.
    resids = np.asarray(fixed.resid, dtype=float)
    variances = model.volatility.compute_variance(
        np.array([fit.omega / fit.start, fit.alpha, fit.beta]),
        resids,
        np.empty_like(resids),
        1.0,
        np.tile([0.0, np.inf], (resids.size, 1)),
    )
    np.testing.assert_allclose(fit.variances[:-1], variances * fit.start, rtol=1e-9)
    density = model.distribution.loglikelihood(np.empty(0), resids, variances)
    assert fit.likelihood == pytest.approx(density - returns.size * math.log(scale), rel=1e-9)
    step = fit.omega + fit.alpha * (returns[-1] - fit.mean) ** 2 + fit.beta * fit.variances[-2]
    assert fit.variances[-1] == pytest.approx(step, rel=1e-12)


def test_forecasts_are_archs() -> None:
    returns = simulated(1)
    fit = fit_garch(returns)
    found = peers(fit, returns, options={"ftol": 1e-13, "maxiter": 1000})
    theirs = found.forecast(horizon=10, reindex=False).variance.to_numpy()[-1] * fit.start
    np.testing.assert_allclose(fit.forecast(10), theirs, rtol=1e-4)
    omega, alpha, beta = found.params
    assert theirs[1] == pytest.approx(omega * fit.start + (alpha + beta) * theirs[0], rel=1e-9)
    with pytest.raises(InvalidError, match="horizon of 0"):
        fit.forecast(0)


def test_parameters_of_a_long_series_are_recovered() -> None:
    fit = fit_garch(simulated(3, size=20_000, alpha=0.08, beta=0.9))
    assert fit.alpha == pytest.approx(0.08, abs=0.015)
    assert fit.beta == pytest.approx(0.90, abs=0.02)


def test_the_forecasts_error_is_what_the_forecast_scatters_by() -> None:
    errors, scatter = [], []
    for seed in range(60):
        returns = simulated(seed, size=1500)
        fit = fit_garch(returns)
        true = true_variance(returns)
        errors.append(fit.variance_error)
        scatter.append(fit.variances[-1] - true)
    assert np.nanmedian(errors) == pytest.approx(np.median(np.abs(scatter)) / 0.6745, rel=0.35)


def true_variance(returns: FloatArray) -> float:
    """Filter with the parameters that the returns were drawn with."""
    variance = 9e-4
    for shock in returns - 0.001:
        variance = 9e-4 * 0.05 + 0.1 * shock**2 + 0.85 * variance
    return variance


def test_scale_and_shift_of_returns_are_scale_and_shift_of_the_fit() -> None:
    returns = simulated(2)
    fit, moved = fit_garch(returns), fit_garch(1e-4 * returns + 5e-5)
    assert (moved.alpha, moved.beta) == pytest.approx((fit.alpha, fit.beta), rel=1e-5)
    np.testing.assert_allclose(moved.variances, 1e-8 * fit.variances, rtol=1e-5)


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.zeros(365), "no variance"),
        (np.full(365, 0.001), "no variance"),
        (np.array([0.01, -0.02, 0.01]), "needs at least 50 observations, has 3"),
        (np.full(365, math.nan), "a return is not a number"),
    ],
)
def test_without_a_fit_there_is_a_reason(returns: FloatArray, reason: str) -> None:
    fit = fit_garch(returns)
    assert fit.reason == reason
    assert math.isnan(fit.variances[-1])
    assert math.isnan(fit.omega)
    assert np.isnan(fit.forecast(3)).all()


def test_one_jump_in_a_still_series_is_fitted_or_refused_but_never_invented() -> None:
    returns = np.zeros(100)
    returns[50] = 0.2
    fit = fit_garch(returns)
    assert fit.reason or np.isfinite(fit.variances).all()


def test_a_fit_takes_milliseconds() -> None:
    returns = simulated(4)
    fit_garch(returns)
    begin = time.process_time()
    for _ in range(20):
        fit_garch(returns)
    # Three milliseconds on a quiet machine; this one may be busy.
    assert (time.process_time() - begin) / 20 < 0.015
