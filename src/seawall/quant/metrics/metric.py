"""The record that says what a metric is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from seawall.quant.types import FloatArray


class Unit(StrEnum):
    """What a metric's number counts."""

    FRACTION = "fraction"
    RATIO = "ratio"
    COUNT = "count"
    DAYS = "days"


class Direction(StrEnum):
    """Which way a metric gets better; neither where that depends on what is wanted."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    NEITHER = "neither"


class Input(StrEnum):
    """What a metric's function takes, in this order."""

    RETURNS = "the portfolio's returns"
    BENCHMARK = "the portfolio's returns and the benchmark's"
    BTC = "the portfolio's returns and BTC's"
    SP500 = "the portfolio's returns and the S&P 500's"
    WEIGHTS = "the weights"
    ASSETS = "the assets' returns"
    HOLDINGS = "the weights and the assets' returns"


class Inference(StrEnum):
    """How it is told how sure a figure is."""

    STANDARD_ERROR = "standard error"
    FISHER = "Fisher's z"
    BOOTSTRAP = "bootstrap interval"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called, what it means, and the function that gives it.

    Attributes:
        formula: in terms of r (returns), b (the benchmark's), w (weights), n (observations).
        min_observations: the fewest for which the formula estimates what it names; see `registry`.
        undefined: why it is NaN although there are enough observations; empty if it never is.
        function: takes float64 arrays, gives NaN when undefined, and has usable defaults.
        inference: how the figure's uncertainty is estimated, where that is meaningful.
        standard_error: takes what `function` takes, when `inference` is a standard error; when it
            is Fisher's z, the error is that of the inverse hyperbolic tangent of the figure.
        takes: what `function` is called with.
        options: the keywords that `function` knows besides, of `risk_free` (per period), `periods`
            (in a year), `trials`.
    """

    slug: str
    name: str
    unit: Unit
    direction: Direction
    formula: str
    source: str
    min_observations: int
    undefined: str
    function: Callable[..., float | FloatArray]
    inference: Inference = Inference.NONE
    standard_error: Callable[..., float] | None = None
    takes: Input = Input.RETURNS
    options: tuple[str, ...] = ()

    def why_undefined(self, observations: int) -> str:
        """Say why the metric is NaN from this many observations."""
        return too_few(self.min_observations, observations) or self.undefined


_COMPARED = (
    ("", "the benchmark", Input.BENCHMARK),
    ("_btc", "BTC", Input.BTC),
    ("_sp500", "the S&P 500", Input.SP500),
)


def against_each(metric: Metric) -> tuple[Metric, ...]:
    """List a metric of the benchmark, and the same of BTC and of the S&P 500."""
    return tuple(
        replace(
            metric,
            slug=f"{metric.slug}{suffix}",
            name=metric.name.replace("the benchmark", name),
            takes=takes,
        )
        for suffix, name, takes in _COMPARED
    )


def too_few(needed: int, observations: int) -> str:
    """Say that there are too few observations; empty when there are enough."""
    if observations >= needed:
        return ""
    plural = "" if needed == 1 else "s"
    return f"needs at least {needed} observation{plural}, has {observations}"
