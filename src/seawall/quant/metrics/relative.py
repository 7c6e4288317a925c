"""How a portfolio did beside its benchmark."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.kernels.layout import Moments
from seawall.quant.metrics import returns as own
from seawall.quant.metrics.dependence import MIN_PAIRS, Fit, fit, pair
from seawall.quant.metrics.metric import Direction, Inference, Input, Metric, Unit
from seawall.quant.metrics.skill import sharpe_error
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray


def tracking_error(
    returns: ArrayLike, benchmark: ArrayLike, periods: float = PERIODS_PER_YEAR
) -> float:
    """Measure the annualised deviation, ddof 1, of (T,) returns from the benchmark's.

    `periods` is how many returns a year has. NaN from fewer than 3 common observations; exactly 0
    where the two run parallel.

    Raises:
        InvalidError: the two are not equally long.
    """
    return _moments(returns, benchmark).deviation * math.sqrt(periods)


def information_ratio(
    returns: ArrayLike, benchmark: ArrayLike, periods: float = PERIODS_PER_YEAR
) -> float:
    """Divide the mean difference of (T,) returns from the benchmark's by its deviation, annualised.

    `periods` is how many returns a year has. NaN from fewer than 3 common observations and where
    the two run parallel.

    Raises:
        InvalidError: the two are not equally long.
    """
    active = _moments(returns, benchmark)
    return active.mean / active.deviation * math.sqrt(periods) if active.deviation else math.nan


def alpha(
    returns: ArrayLike,
    benchmark: ArrayLike,
    risk_free: float = 0.0,
    periods: float = PERIODS_PER_YEAR,
) -> float:
    """Measure what (T,) returns earned beyond beta times the benchmark's excess, times a year.

    `risk_free` is a rate per return, `periods` how many a year has. NaN from fewer than 3 common
    observations and where the benchmark does not vary.

    Raises:
        InvalidError: the two are not equally long.
    """
    return _line(returns, benchmark, risk_free).intercept * periods


def up_capture(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Divide the geometric mean of (T,) returns by the benchmark's, where the benchmark rose.

    NaN from fewer than 3 common observations, where it never rose, and where all was lost.

    Raises:
        InvalidError: the two are not equally long.
    """
    return _capture(*_pair(returns, benchmark), rising=True)


def down_capture(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Divide the geometric mean of (T,) returns by the benchmark's, where the benchmark fell.

    Below 1 where the portfolio lost less. NaN from fewer than 3 common observations, where it never
    fell, and where all was lost.

    Raises:
        InvalidError: the two are not equally long.
    """
    return _capture(*_pair(returns, benchmark), rising=False)


def _pair(returns: ArrayLike, benchmark: ArrayLike) -> tuple[FloatArray, FloatArray]:
    returns, benchmark = pair(returns, benchmark)
    if returns.size < MIN_PAIRS:
        return returns[:0], benchmark[:0]
    return returns, benchmark


def _active(returns: ArrayLike, benchmark: ArrayLike) -> FloatArray:
    returns, benchmark = _pair(returns, benchmark)
    active = returns - benchmark
    peak = np.abs(returns).max(initial=0.0) + np.abs(benchmark).max(initial=0.0)
    # A difference carries the rounding of both, so one that varies by no more does not vary.
    if active.size and np.ptp(active) <= 2 * measures.NOISE * (1 + peak):
        return np.full_like(active, active[0])
    return active


def _moments(returns: ArrayLike, benchmark: ArrayLike) -> Moments:
    return measures.moments(_active(returns, benchmark))


def _line(returns: ArrayLike, benchmark: ArrayLike, risk_free: float) -> Fit:
    returns, benchmark = _pair(returns, benchmark)
    return fit(returns - risk_free, benchmark - risk_free)


def _capture(returns: FloatArray, benchmark: FloatArray, *, rising: bool) -> float:
    kept = benchmark > 0 if rising else benchmark < 0
    if not kept.any() or np.isnan(returns + benchmark).any():
        return math.nan
    mine, theirs = _geometric_mean(returns[kept]), _geometric_mean(benchmark[kept])
    return mine / theirs if theirs else math.nan


def _geometric_mean(returns: FloatArray) -> float:
    if np.any(~(returns > -1)):
        return math.nan
    return math.expm1(float(np.log1p(returns).mean()))


def _tracking_error_error(
    returns: ArrayLike, benchmark: ArrayLike, periods: float = PERIODS_PER_YEAR
) -> float:
    return own.volatility_error(_active(returns, benchmark), periods)


def _information_error(
    returns: ArrayLike, benchmark: ArrayLike, periods: float = PERIODS_PER_YEAR
) -> float:
    return sharpe_error(_active(returns, benchmark), periods=periods)


def _alpha_error(
    returns: ArrayLike,
    benchmark: ArrayLike,
    risk_free: float = 0.0,
    periods: float = PERIODS_PER_YEAR,
) -> float:
    return _line(returns, benchmark, risk_free).intercept_error * periods


_CAPTURE = "Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 3"

METRICS = (
    Metric(
        slug="alpha",
        name="Jensen's alpha",
        unit=Unit.FRACTION,
        direction=Direction.HIGHER,
        formula="(mean(r - risk_free) - beta * mean(b - risk_free)) * 365",
        source='Jensen (1968), "The Performance of Mutual Funds in the Period 1945-1964", '
        "Journal of Finance 23(2)",
        min_observations=MIN_PAIRS,
        undefined="no variance in the benchmark",
        function=alpha,
        inference=Inference.STANDARD_ERROR,
        standard_error=_alpha_error,
        takes=Input.BENCHMARK,
        options=("risk_free", "periods"),
    ),
    Metric(
        slug="tracking_error",
        name="Tracking error",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="std(r - b, ddof 1) * sqrt(365)",
        source="Grinold & Kahn (2000), Active Portfolio Management, 2nd ed., ch. 3",
        min_observations=MIN_PAIRS,
        undefined="",
        function=tracking_error,
        inference=Inference.STANDARD_ERROR,
        standard_error=_tracking_error_error,
        takes=Input.BENCHMARK,
        options=("periods",),
    ),
    Metric(
        slug="information_ratio",
        name="Information ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="mean(r - b) / std(r - b, ddof 1) * sqrt(365)",
        source='Goodwin (1998), "The Information Ratio", Financial Analysts Journal 54(4)',
        min_observations=MIN_PAIRS,
        undefined="no deviation from the benchmark",
        function=information_ratio,
        inference=Inference.STANDARD_ERROR,
        standard_error=_information_error,
        takes=Input.BENCHMARK,
        options=("periods",),
    ),
    Metric(
        slug="up_capture",
        name="Upside capture",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="(prod(1 + r)^(1 / k) - 1) / (prod(1 + b)^(1 / k) - 1), over the k with b > 0",
        source=_CAPTURE,
        min_observations=MIN_PAIRS,
        undefined="the benchmark never rose, or all was lost",
        function=up_capture,
        inference=Inference.BOOTSTRAP,
        takes=Input.BENCHMARK,
    ),
    Metric(
        slug="down_capture",
        name="Downside capture",
        unit=Unit.RATIO,
        direction=Direction.LOWER,
        formula="(prod(1 + r)^(1 / k) - 1) / (prod(1 + b)^(1 / k) - 1), over the k with b < 0",
        source=_CAPTURE,
        min_observations=MIN_PAIRS,
        undefined="the benchmark never fell, or all was lost",
        function=down_capture,
        inference=Inference.BOOTSTRAP,
        takes=Input.BENCHMARK,
    ),
)
