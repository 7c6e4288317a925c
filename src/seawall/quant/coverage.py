"""Whether losses went beyond the value at risk as often, and as singly, as they should have."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.types import BoolArray


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A test's statistic, and how likely one as large is where the model holds; NaN untested."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the value at risk was exceeded in `days`, and what three tests say to it."""

    days: int
    exceedances: int
    expected: float
    kupiec: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio


_UNTESTED = LikelihoodRatio(math.nan, math.nan)
_FEWEST_PAIRS = 2


def measure_coverage(exceeded: ArrayLike, confidence: float) -> Coverage:
    """Test (T,) answers to whether each day's loss went beyond its value at risk, in their order.

    Untested, NaN: everything without days, and independence from fewer than 2.

    Raises:
        InvalidError: the answers are not a vector of booleans, or the confidence is not between 0
            and 1.
    """
    answers = np.asarray(exceeded)
    if answers.ndim != 1 or (answers.dtype != np.bool_ and answers.size):
        raise InvalidError("Exceedances must be a vector of booleans, one a day.")
    if not 0 < confidence < 1:
        raise InvalidError(
            f"Confidence {confidence} is not between 0 and 1.", hint="Write 95 % as 0.95."
        )
    days, count = answers.size, int(answers.sum())
    kupiec = kupiec_test(count, days, confidence)
    independence = independence_test(answers.astype(np.bool_))
    conditional = _UNTESTED
    if not math.isnan(independence.statistic):
        total = kupiec.statistic + independence.statistic
        conditional = LikelihoodRatio(total, math.exp(-total / 2))
    return Coverage(days, count, days * (1 - confidence), kupiec, independence, conditional)


def kupiec_test(exceedances: int, days: int, confidence: float) -> LikelihoodRatio:
    """Test whether the share of exceedances is 1 - confidence: the proportion of failures.

    None at all, and all days, are counts as others are. NaN without days.

    Source: Kupiec (1995), "Techniques for Verifying the Accuracy of Risk Measurement Models",
    Journal of Derivatives 3(2).
    """
    if not days:
        return _UNTESTED
    supposed = _log_likelihood(days - exceedances, exceedances, 1 - confidence)
    found = _log_likelihood(days - exceedances, exceedances, exceedances / days)
    return _ratio(found - supposed)


def independence_test(exceeded: BoolArray) -> LikelihoodRatio:
    """Test whether a day after an exceedance is as likely to be one as any: against a Markov chain.

    Without an exceedance before the last day, or without a day that is none, both models are the
    same, and the statistic is 0. NaN from fewer than 2 days.

    Source: Christoffersen (1998), "Evaluating Interval Forecasts", International Economic Review
    39(4).
    """
    if exceeded.size < _FEWEST_PAIRS:
        return _UNTESTED
    before, after = exceeded[:-1], exceeded[1:]
    calm, hit = int((~before & ~after).sum()), int((~before & after).sum())
    over, again = int((before & ~after).sum()), int((before & after).sum())
    one = _log_likelihood(calm + over, hit + again, (hit + again) / before.size)
    two = _log_likelihood(calm, hit, hit / max(calm + hit, 1))
    two += _log_likelihood(over, again, again / max(over + again, 1))
    return _ratio(two - one)


def _log_likelihood(misses: int, hits: int, probability: float) -> float:
    """Sum the logs of what happened; what did not happen adds nothing, however unlikely."""
    likelihood = 0.0
    if misses:
        likelihood += misses * math.log1p(-probability)
    if hits:
        likelihood += hits * math.log(probability)
    return likelihood


def _ratio(gain: float) -> LikelihoodRatio:
    """Double a gain in log likelihood, for the chi-square distribution of 1 degree of freedom."""
    statistic = max(2 * gain, 0.0)
    return LikelihoodRatio(statistic, math.erfc(math.sqrt(statistic / 2)))
