"""How sure a figure is: standard errors where theory has them, resampled histories elsewhere.

An interval tells what the figure would be over other histories of the same kind and length, not
what it will be when the kind changes. Standard errors take returns as independent of one another;
those of the skewness and kurtosis are of normal returns, and tell whether the figure differs from
0. Resampled histories keep days together in blocks, so that spells of volatility stay.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.bootstrap import joint_block_length, resample
from seawall.quant.metrics.metric import Inference, Input, Metric
from seawall.quant.types import FloatArray, IntArray

LEVEL = 0.95
FEWEST_DAYS = 20
"""Fewer days are too few to make other histories of."""

MOST_MATRICES = 200
"""Histories of all holdings take longer to measure, so they are fewer."""

MOST_UNDEFINED = 0.05
"""The share of resampled histories that may leave a figure undefined."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Between what a figure lies with a confidence, and its standard error where it has one."""

    low: float
    high: float
    standard_error: float | None = None


def uncertainty(
    metric: Metric,
    *inputs: FloatArray,
    options: Mapping[str, float] | None = None,
    level: float = LEVEL,
    picks: IntArray | None = None,
) -> Interval | None:
    """Estimate how sure a metric of these inputs is; None where that cannot be told.

    `inputs` and `options` are those of the metric's function. `picks` (samples, T) are the days of
    each resampled history, for metrics that share them; they are drawn otherwise.

    Raises:
        InvalidError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidError(
            f"A level of {level} is not between 0 and 1.", hint="Write 95 % as 0.95."
        )
    options = options or {}
    match metric.inference:
        case Inference.STANDARD_ERROR | Inference.FISHER:
            return _by_theory(metric, inputs, options, level)
        case Inference.BOOTSTRAP:
            return _by_resampling(metric, inputs, options, (level, picks))
        case Inference.NONE:
            return None


def draw(*series: FloatArray) -> IntArray | None:
    """Draw the days of resampled histories, for blocks that suit each of the (T,) series.

    None from too few days.
    """
    if not series or series[0].shape[0] < FEWEST_DAYS:
        return None
    block = max(joint_block_length(each) for each in series)
    return resample(series[0].shape[0], block)


def _by_theory(
    metric: Metric, inputs: tuple[FloatArray, ...], options: Mapping[str, float], level: float
) -> Interval | None:
    if metric.standard_error is None:
        return None
    value = _scalar(metric.function(*inputs, **options))
    error = metric.standard_error(*inputs, **options)
    if math.isnan(value) or not math.isfinite(error):
        return None
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    if metric.inference is Inference.STANDARD_ERROR:
        return Interval(value - reach, value + reach, error)
    if abs(value) >= 1:
        return Interval(value, value)
    return Interval(math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach))


def _by_resampling(
    metric: Metric,
    inputs: tuple[FloatArray, ...],
    options: Mapping[str, float],
    how: tuple[float, IntArray | None],
) -> Interval | None:
    level, picks = how
    kept = 1 if metric.takes in {Input.HOLDINGS, Input.WEIGHTS} else 0
    histories = inputs[kept:]
    if not histories:
        return None
    if picks is None:
        picks = draw(*(each if each.ndim == 1 else each.mean(axis=1) for each in histories))
    if picks is None or math.isnan(_scalar(metric.function(*inputs, **options))):
        return None
    if any(each.ndim > 1 for each in histories):
        picks = picks[:MOST_MATRICES]
    values = _over(picks, histories, lambda rows: metric.function(*inputs[:kept], *rows, **options))
    if np.isnan(values).mean() > MOST_UNDEFINED:
        return None
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return Interval(low, high)


def _over(
    picks: IntArray,
    histories: tuple[FloatArray, ...],
    function: Callable[[tuple[FloatArray, ...]], float | FloatArray],
) -> FloatArray:
    return np.array([_scalar(function(tuple(each[days] for each in histories))) for days in picks])


def _scalar(value: float | FloatArray) -> float:
    return float(value)
