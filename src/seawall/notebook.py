"""What `import seawall as sw` gives a notebook: the figures of a report, of returns in memory.

No database and no server; the numbers are those of `seawall risk report`, by the same functions.
"""

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from seawall.core.errors import InvalidError, NotFoundError
from seawall.quant import returns as _returns
from seawall.quant.metrics.measure_all import Assumptions, SureFigure, measure_all
from seawall.quant.metrics.metric import Input, Metric, Unit
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark
from seawall.quant.types import BoolArray, FloatArray

METRICS: Mapping[str, Metric] = REGISTRY
"""Every metric by its slug: name, unit, formula, source."""
_MATRIX = 2


@dataclass(frozen=True, slots=True)
class Risk(Mapping[str, float]):
    """Every figure of some returns, by its slug: `found["sharpe_ratio"]`, NaN where undefined.

    `observations` were used; on `missing` days an asset had no return, and the day was left out.
    `figures` has the interval of each, and the reason of a NaN.
    """

    figures: Mapping[str, SureFigure] = field(repr=False)
    observations: int
    missing: int

    def __getitem__(self, slug: str) -> float:
        return self.figures[slug].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def why(self, slug: str) -> str:
        """Say why a figure is undefined; empty when it is not.

        Raises:
            NotFoundError: there is no such figure.
        """
        if slug not in self.figures:
            raise NotFoundError(f"There is no figure {slug!r}.", hint="See seawall.METRICS.")
        return self.figures[slug].reason

    def to_frame(self) -> pl.DataFrame:
        """Return a row a figure: its name, value, 95 % interval, unit, and why it is undefined."""
        return pl.DataFrame(
            [
                {
                    "slug": slug,
                    "name": METRICS[slug].name,
                    "value": None if math.isnan(each.value) else each.value,
                    "low": each.interval.low if each.interval else None,
                    "high": each.interval.high if each.interval else None,
                    "unit": str(METRICS[slug].unit),
                    "reason": each.reason,
                }
                for slug, each in self.figures.items()
            ],
            schema={
                "slug": pl.String,
                "name": pl.String,
                "value": pl.Float64,
                "low": pl.Float64,
                "high": pl.Float64,
                "unit": pl.String,
                "reason": pl.String,
            },
        )

    def __str__(self) -> str:
        width = max(len(METRICS[slug].name) for slug in self.figures)
        lines = [f"{METRICS[slug].name:<{width}}  {_shown(slug, self)}" for slug in self.figures]
        return "\n".join([*lines, self._of()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(METRICS[slug].name)}</td>"
            f"<td style='text-align:right'>{html.escape(_shown(slug, self))}</td></tr>"
            for slug in self.figures
        )
        return f"<table><caption>{html.escape(self._of())}</caption>{rows}</table>"

    def _of(self) -> str:
        left_out = f", {self.missing} left out" if self.missing else ""
        return f"of {self.observations} returns{left_out}"


def _shown(slug: str, risk: Risk) -> str:
    value = risk[slug]
    if math.isnan(value):
        return f"- ({risk.why(slug)})"
    return f"{value:.2%}" if METRICS[slug].unit is Unit.FRACTION else f"{value:,.4f}"


def risk(
    returns: Any,
    *,
    weights: Any = None,
    benchmark: Any = None,
    risk_free: float = 0.0,
    trials: int = 1,
) -> Risk:
    """Measure all of simple daily returns: a series (T,), or assets (T, N) held at `weights` (N,).

    Anything that numpy reads will do, and frames and series of pandas and polars. Weights may be a
    mapping by the frame's columns. NaN is a day without a return: it is left out, never filled.
    `benchmark` (T,) is of the same days; `risk_free` is a rate a year, which has 365 days.

    Raises:
        InvalidError: shapes, days or numbers do not fit; many assets have no weights.
    """
    matrix = _matrix(returns)
    held = _weights(weights, returns, matrix.shape[1])
    complete: BoolArray = np.logical_not(np.isnan(matrix).any(axis=1))
    beside = {}
    if benchmark is not None:
        beside[Input.BENCHMARK] = _benchmark(benchmark, returns, complete)
    assumptions = Assumptions(risk_free, trials)
    kept = np.ascontiguousarray(matrix[complete])
    figures = measure_all(held, kept, beside, assumptions)
    # What is compared to a benchmark that nobody gave is not shown as missing.
    asked = {slug: each for slug, each in figures.items() if each.reason != "no benchmark"}
    return Risk(asked, len(kept), int((~complete).sum()))


def returns(prices: Any) -> FloatArray:
    """Return the simple returns (T - 1,) or (T - 1, N) of consecutive prices; a gap gives NaN.

    Raises:
        InvalidError: a price is negative or infinite.
    """
    found = _matrix(prices)
    moved = _returns.simple_returns(found)
    return moved[:, 0] if np.ndim(prices) == 1 else moved


def _matrix(values: Any) -> FloatArray:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidError(
            f"These are not numbers: {error}.", hint="Leave columns of times and names out."
        ) from None
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != _MATRIX or not found.shape[1]:
        raise InvalidError(f"Returns are (T,) or (T, N), not of shape {np.shape(values)}.")
    if np.isinf(found).any():
        raise InvalidError("A return is infinite.", hint="A price was 0: leave that day out.")
    return found


def _weights(weights: Any, returns: Any, assets: int) -> FloatArray:
    if weights is None:
        if assets > 1:
            raise InvalidError(
                f"{assets} assets need weights.", hint="risk(returns, weights=[0.6, 0.4])"
            )
        return np.ones(1)
    if isinstance(weights, Mapping):
        names = [str(name) for name in getattr(returns, "columns", ())]
        if set(names) != set(weights):
            raise InvalidError(f"The weights are of {sorted(weights)}, the returns of {names}.")
        weights = [weights[name] for name in names]
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (assets,) or not np.isfinite(found).all():
        raise InvalidError(f"{assets} assets need as many finite weights, not {weights!r}.")
    return found


def _benchmark(benchmark: Any, returns: Any, complete: BoolArray) -> Benchmark:
    values = _matrix(benchmark)
    if values.shape != (complete.size, 1):
        raise InvalidError(
            f"The benchmark has {values.shape[0]} returns, and the portfolio {complete.size}.",
            hint="Join both by their days first.",
        )
    # pandas' frames know their days; a list has a method of the same name.
    ours: Any = getattr(returns, "index", None)
    theirs: Any = getattr(benchmark, "index", None)
    if hasattr(ours, "equals") and hasattr(theirs, "equals") and not ours.equals(theirs):
        raise InvalidError(
            "The benchmark is of other days than the portfolio.",
            hint="Join both by their days first.",
        )
    there = ~np.isnan(values[complete, 0])
    rows = np.flatnonzero(there).astype(np.int64)
    return Benchmark(values[complete, 0][there], rows, rows + 1)
