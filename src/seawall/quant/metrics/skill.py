"""How likely it is that what was earned was not luck."""

import math
from statistics import NormalDist

from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.metrics.metric import Direction, Metric, Unit
from seawall.quant.metrics.moments import Standardised, standardise
from seawall.quant.types import PERIODS_PER_YEAR, as_vector

EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()
_SHARPE_FRONTIER = (
    'Bailey & López de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2)'
)


def sharpe_variance(sharpe: float, skewness: float = 0.0, kurtosis: float = 3.0) -> float:
    """Return n times the variance of an estimated Sharpe ratio per period, of n returns.

    Skewness and kurtosis (3 for a normal distribution) are those of independent returns. Source:
    Lo (2002), "The Statistics of Sharpe Ratios", Financial Analysts Journal 58(4), for normal
    returns; Mertens (2002), "Comments on variance of the IID estimator in Lo (2002)", for others.
    """
    return 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2


def sharpe_error(
    returns: ArrayLike, risk_free: float = 0.0, periods: float = PERIODS_PER_YEAR
) -> float:
    """Estimate the standard error of the annualised Sharpe ratio of (T,) returns.

    `risk_free` is a rate per return, `periods` how many a year has. NaN from fewer than 4 or where
    they do not vary. Source: Mertens (2002); returns are taken as independent.
    """
    found = standardise(as_vector(returns) - risk_free)
    variance = _variance(found) / found.size if found.size else math.nan
    return math.sqrt(variance * periods)


def probabilistic_sharpe_ratio(
    returns: ArrayLike, risk_free: float = 0.0, benchmark: float = 0.0
) -> float:
    """Estimate the probability that the true Sharpe ratio of (T,) returns is above a benchmark.

    `risk_free` is a rate and `benchmark` a Sharpe ratio per return, not per year. NaN from fewer
    than 4 observations or where they do not vary.
    """
    found = standardise(as_vector(returns) - risk_free)
    error = math.sqrt(_variance(found) / (found.size - 1)) if found.size > 1 else math.nan
    return _probability(_sharpe(found) - benchmark, error)


def deflated_sharpe_ratio(
    returns: ArrayLike, risk_free: float = 0.0, trials: int = 1, variance: float | None = None
) -> float:
    """Estimate the probability that the true Sharpe ratio is above the best of so many lucky ones.

    `trials` is how many independent strategies were tried of which (T,) returns are the best one's,
    `variance` that of their Sharpe ratios per return; unless it is known, that of estimates of
    strategies without skill, 1 / (n - 1). `risk_free` is a rate per return. NaN from fewer than 4
    observations or where they do not vary.

    Raises:
        InvalidError: fewer than 1 trial, or a negative variance.
    """
    size = as_vector(returns).size
    if variance is None:
        variance = 1 / (size - 1) if size > 1 else math.nan
    best = expected_best_sharpe(trials, variance)
    return probabilistic_sharpe_ratio(returns, risk_free, best)


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Estimate the largest Sharpe ratio of independent trials without any skill.

    `variance` is that of the trials' ratios. Source: Bailey & López de Prado (2014), "The Deflated
    Sharpe Ratio", Journal of Portfolio Management 40(5).

    Raises:
        InvalidError: fewer than 1 trial, or a negative variance.
    """
    if trials < 1 or variance < 0:
        raise InvalidError(
            f"{trials} trials whose Sharpe ratios vary by {variance} are none.",
            hint="Give at least 1 trial, and a variance of at least 0.",
        )
    if trials == 1:
        return 0.0
    most = _NORMAL.inv_cdf(1 - 1 / trials)
    more = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER_MASCHERONI) * most + EULER_MASCHERONI * more)


def minimum_track_record(
    returns: ArrayLike, risk_free: float = 0.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Count the returns from which a Sharpe ratio like that of (T,) ones is surely above another.

    `risk_free` is a rate and `benchmark` a Sharpe ratio per return; sure is the `confidence`. NaN
    from fewer than 4 observations, where they do not vary, and where the ratio is not above.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise InvalidError(
            f"Confidence {confidence} is not between 0 and 1.", hint="Write 95 % as 0.95."
        )
    found = standardise(as_vector(returns) - risk_free)
    sharpe = _sharpe(found)
    return track_record(sharpe, benchmark, _variance(found), confidence)


def track_record(sharpe: float, benchmark: float, variance: float, confidence: float) -> float:
    """Count the returns from which a Sharpe ratio per return is surely above a benchmark.

    `variance` is that of `sharpe_variance`. NaN where the ratio is not above the benchmark.
    """
    if not sharpe > benchmark:
        return math.nan
    ratio = _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)
    # A product, not a power: that raises where the count is larger than a float can be.
    count = 1 + variance * ratio * ratio
    return count if math.isfinite(count) else math.nan


def _sharpe(found: Standardised) -> float:
    return found.mean / found.deviation


def _variance(found: Standardised) -> float:
    return sharpe_variance(_sharpe(found), found.skewness, found.kurtosis)


def _probability(above: float, error: float) -> float:
    # Two returns' moments can leave no error at all, and so no probability between 0 and 1.
    return _NORMAL.cdf(above / error) if error > 0 else math.nan


METRICS = (
    Metric(
        slug="probabilistic_sharpe_ratio",
        name="Probabilistic Sharpe ratio",
        unit=Unit.FRACTION,
        direction=Direction.HIGHER,
        formula="Phi(SR * sqrt(n - 1) / sqrt(1 - g3 * SR + (g4 - 1) / 4 * SR^2)), SR = mean(r - "
        "risk_free) / std(r, ddof 1), g3 = m3 / m2^1.5, g4 = m4 / m2^2",
        source=_SHARPE_FRONTIER,
        min_observations=4,
        undefined="no variance",
        function=probabilistic_sharpe_ratio,
        options=("risk_free",),
    ),
    Metric(
        slug="deflated_sharpe_ratio",
        name="Deflated Sharpe ratio",
        unit=Unit.FRACTION,
        direction=Direction.HIGHER,
        formula="Phi((SR - SR0) * sqrt(n - 1) / sqrt(1 - g3 * SR + (g4 - 1) / 4 * SR^2)), SR0 = "
        "sqrt(V) * ((1 - e) * Phi^-1(1 - 1 / N) + e * Phi^-1(1 - 1 / (N * exp(1)))), N trials, V "
        "the variance of their SR, e Euler's constant",
        source='Bailey & López de Prado (2014), "The Deflated Sharpe Ratio", '
        "Journal of Portfolio Management 40(5)",
        min_observations=4,
        undefined="no variance",
        function=deflated_sharpe_ratio,
        options=("risk_free", "trials"),
    ),
    Metric(
        slug="minimum_track_record",
        name="Minimum track record, 95%",
        unit=Unit.DAYS,
        direction=Direction.LOWER,
        formula="1 + (1 - g3 * SR + (g4 - 1) / 4 * SR^2) * (Phi^-1(0.95) / SR)^2",
        source=_SHARPE_FRONTIER,
        min_observations=4,
        undefined="no variance, or a Sharpe ratio that is not above 0",
        function=minimum_track_record,
        options=("risk_free",),
    ),
)
