"""GARCH(1,1), fitted to daily returns by maximum likelihood."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures, variance
from seawall.quant.metrics.metric import too_few
from seawall.quant.types import FloatArray, as_vector

MIN_OBSERVATIONS = 50
"""The fewest returns that are fitted: a dozen for each of the mean and the three parameters."""


@dataclass(frozen=True, slots=True)
class Garch:
    """r_t = mean + e_t, e_t = sqrt(h_t) z_t, h_t = omega + alpha e_{t-1}^2 + beta h_{t-1}.

    Attributes:
        start: the mean square of e, which stands for e^2 and h before the first day.
        likelihood: the normal log likelihood.
        variances: (T + 1,), the last of the day after the returns.
        variance_error: of that last variance, robust to returns that are not normal; NaN where a
            parameter is at its bound.
        reason: why there is no fit, and all numbers are NaN; empty when there is one.
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    start: float
    likelihood: float
    variances: FloatArray
    variance_error: float
    reason: str = ""

    def forecast(self, horizon: int) -> FloatArray:
        """Forecast the variances of the next `horizon` days; NaN without a fit.

        Raises:
            InvalidError: the horizon is not at least 1.
        """
        if horizon < 1:
            raise InvalidError(f"A horizon of {horizon} days is not at least 1.")
        # E h_{k+1} = omega + (alpha + beta) E h_k, which does not need a long-run variance.
        forecast = np.empty(horizon)
        forecast[0] = self.variances[-1]
        for day in range(1, horizon):
            forecast[day] = self.omega + (self.alpha + self.beta) * forecast[day - 1]
        return forecast


def fit_garch(returns: ArrayLike) -> Garch:
    """Fit GARCH(1,1) to (T,) returns less their mean, within omega > 0, alpha, beta >= 0, sum < 1.

    Source: Bollerslev (1986), "Generalized Autoregressive Conditional Heteroskedasticity", Journal
    of Econometrics 31(3); the error as in Bollerslev & Wooldridge (1992), Econometric
    Reviews 11(2).
    """
    returns = as_vector(returns)
    if not np.isfinite(returns).all():
        return _unfitted("a return is not a number")
    if reason := too_few(MIN_OBSERVATIONS, returns.size):
        return _unfitted(reason)
    moments = measures.moments(returns)
    if moments.deviation == 0:
        return _unfitted("no variance")
    shocks = returns - moments.mean
    start = float(np.mean(shocks * shocks))
    # The fit knows no unit, so that its tolerances hold for stablecoins as for others.
    point, arrived = variance.garch_fit(shocks / math.sqrt(start))
    if not arrived:
        return _unfitted("the likelihood has no maximum that was found")
    omega, alpha, beta = point[0] * start, point[1] * point[2], point[1] * (1 - point[2])
    variances = variance.garch_variances(shocks, omega, alpha, beta, start)
    return Garch(
        mean=moments.mean,
        omega=float(omega),
        alpha=float(alpha),
        beta=float(beta),
        start=start,
        likelihood=-variance.garch_loss(shocks, omega, alpha, beta, start),
        variances=variances,
        variance_error=start * _forecast_error(shocks / math.sqrt(start), point),
    )


def _unfitted(reason: str) -> Garch:
    nan = math.nan
    return Garch(nan, nan, nan, nan, nan, nan, np.full(1, nan), nan, reason)


def _forecast_error(shocks: FloatArray, point: FloatArray) -> float:
    """Carry the parameters' sandwich covariance over to the forecast, by the delta method."""
    if point[1] >= variance.PERSISTENCE_LIMIT or min(point[1], point[2], 1 - point[2]) <= 0:
        return math.nan
    scores = np.empty((3, 7))
    variance.garch_scores(shocks, point, 1.0, scores)
    information = scores[:, variance.INFORMATION : variance.OUTER]
    slope = np.array([_difference(shocks, point, which) for which in range(3)])
    try:
        sandwiched = np.linalg.solve(information, slope)
    except np.linalg.LinAlgError:
        return math.nan
    return math.sqrt(max(float(sandwiched @ scores[:, variance.OUTER :] @ sandwiched), 0.0))


def _difference(shocks: FloatArray, point: FloatArray, which: int) -> float:
    """Differentiate the forecast by one parameter."""
    step = 1e-5 * point[which]
    forecasts = []
    for sign in (1, -1):
        moved = point.copy()
        moved[which] += sign * step
        omega, alpha, beta = moved[0], moved[1] * moved[2], moved[1] * (1 - moved[2])
        variances = variance.garch_variances(shocks, omega, alpha, beta, 1.0)
        forecasts.append(float(variances[-1]))
    return (forecasts[0] - forecasts[1]) / float(2 * step)
