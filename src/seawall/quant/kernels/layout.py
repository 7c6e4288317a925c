"""What the kernel of portfolios takes and writes: arrays that belong together."""

from typing import NamedTuple

from seawall.quant.types import BoolArray, FloatArray, IntArray


class Moments(NamedTuple):
    """Mean, standard deviation, bias-corrected skewness and excess kurtosis, and the downside.

    `downside` is the root mean square of the returns below zero over all observations.
    """

    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    downside: float


class Weights(NamedTuple):
    """Sparse rows: portfolio p has `weights` of `columns` from starts[p] to starts[p + 1]."""

    starts: IntArray
    columns: IntArray
    weights: FloatArray


class History(NamedTuple):
    """Assets' (N, T) returns, 0 where one is absent; `whole` (N,) are those without any absent."""

    returns: FloatArray
    absent: BoolArray
    whole: BoolArray


class Pairs(NamedTuple):
    """Benchmarks one behind the other: b has the intervals from offsets[b] to offsets[b + 1].

    `like` (B,) names for each the first that is the same, which may be itself.
    """

    returns: FloatArray
    starts: IntArray
    stops: IntArray
    offsets: IntArray
    like: IntArray


class Tails(NamedTuple):
    """The confidences of the tails, and the least observations of each."""

    levels: FloatArray
    needed: IntArray


class Figures(NamedTuple):
    """What the kernel writes: (P, 17) figures and what they rest on."""

    values: FloatArray
    observations: IntArray
    matched: IntArray
