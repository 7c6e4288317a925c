"""The values that risk travels in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from seawall.core.errors import InvalidError

DEFAULT_WINDOW = 365
DEFAULT_CONFIDENCE = 0.95
DEFAULT_BENCHMARK = "BTC"
MAX_WINDOW = 36_500

FIGURES = (
    "volatility",
    "downside_deviation",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "beta",
    "correlation_btc",
    "correlation_sp500",
    "skewness",
    "kurtosis",
    "herfindahl_index",
    "effective_n",
)
"""The scalar figures of a report, by their slugs in the metrics registry."""


@dataclass(frozen=True, slots=True)
class RiskQuestion:
    """What a report is asked: how many daily returns, which confidence, against what.

    Raises:
        InvalidError: the window or the confidence is out of range.
    """

    window: int = DEFAULT_WINDOW
    confidence: float = DEFAULT_CONFIDENCE
    benchmark: str = DEFAULT_BENCHMARK

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise InvalidError(f"A window of {self.window} days is not within 1 to {MAX_WINDOW}.")
        if not 0 < self.confidence < 1:
            raise InvalidError(
                f"A confidence of {self.confidence} is not between 0 and 1.",
                hint="Write 95 % as 0.95.",
            )


ASSET_FIGURES = (
    "volatility",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "beta",
    "correlation_sp500",
    "correlation_btc",
    "skewness",
    "kurtosis",
    "downside_deviation",
    "calmar_ratio",
)
"""The figures that are kept of an asset, by their slugs in the metrics registry."""
ASSET_WINDOWS = (30, 90, 365)
"""Of how many daily returns they are."""


@dataclass(frozen=True, slots=True)
class AssetFigures:
    """An asset's figures over the window that ends at the midnight `time`.

    `figures` are keyed by `ASSET_FIGURES`; what cannot be estimated is None. Nothing that was
    taken in after `known_at` was known to them.
    """

    asset: str
    time: datetime
    window: int
    benchmark: str
    observations: int
    figures: Mapping[str, float | None]
    known_at: datetime


@dataclass(frozen=True, slots=True)
class PricedHolding:
    """A holding with the price that it was measured at, and how old that was."""

    asset: str
    quantity: Decimal
    price_usd: float | None
    price_time: datetime | None
    price_age_seconds: float | None
    price_source: str
    value_usd: Decimal | None
    weight: float | None
    missing: int


@dataclass(frozen=True, slots=True)
class CorrelationMatrix:
    """Correlations of the holdings' returns; None where one is undefined."""

    assets: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class RiskReport:
    """A portfolio's risk: its figures, why some are None, and what they rest on.

    `figures` are keyed by `FIGURES` and `value_at_risk`, which is at the question's confidence.
    `observations` counts the returns they are of, `missing` the window's other days, and
    `benchmark_observations` the intervals shared with each benchmark. One that was measured in a
    batch `is_brief`: it has no holdings, correlations and notes, but the same figures.
    """

    portfolio: str
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: RiskQuestion
    total_value_usd: Decimal | None
    figures: Mapping[str, float | None]
    correlation_matrix: CorrelationMatrix
    reasons: Mapping[str, str]
    observations: int
    missing: int
    benchmark_observations: Mapping[str, int]
    holdings: tuple[PricedHolding, ...]
    notes: tuple[str, ...]
    id: UUID | None = field(default=None, compare=False)
    is_brief: bool = False
