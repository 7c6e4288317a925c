"""The values that risk travels in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from seawall.core.errors import InvalidError
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.metrics.figures import COLUMNS
from seawall.quant.tails import TailMethod, TailQuestion

DEFAULT_WINDOW = 365
DEFAULT_CONFIDENCE = 0.95
DEFAULT_BENCHMARK = "BTC"
DEFAULT_MAX_AGE = 2.0
"""Days after which a price is stale."""

MAX_WINDOW = 36_500
MAX_TRIALS = 1_000_000
MAX_HORIZON = 365

FIGURES = tuple(slug for slug in COLUMNS if slug != "var")
"""The scalar figures of a report, by their slugs in the metrics registry."""


@dataclass(frozen=True, slots=True)
class CovarianceChoice:
    """Which covariance, of which histories, over how many days."""

    estimator: Estimator = Estimator.LEDOIT_WOLF
    histories: HistoryMethod = HistoryMethod.COMMON
    window: int = DEFAULT_WINDOW


@dataclass(frozen=True, slots=True)
class RiskQuestion:
    """What a report is asked: how many daily returns, which confidence, against what.

    Attributes:
        risk_free: the rate that ratios are in excess of, per year, compounded.
        trials: of how many strategies this is the best, for the deflated Sharpe ratio.
        max_age: after how many days a price is stale.
        method: how the tail as asked is estimated.
        horizon: over how many days it is.
        everything: every metric of the registry, with how sure it is, besides the report's own.
        covariance: which one is measured of the same window besides, of histories of any length.

    Raises:
        InvalidError: one of them is out of range.
    """

    window: int = DEFAULT_WINDOW
    confidence: float = DEFAULT_CONFIDENCE
    benchmark: str = DEFAULT_BENCHMARK
    risk_free: float = 0.0
    trials: int = 1
    max_age: float = DEFAULT_MAX_AGE
    everything: bool = False
    method: TailMethod = TailMethod.HISTORICAL
    horizon: int = 1
    covariance: CovarianceChoice | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise InvalidError(f"A window of {self.window} days is not within 1 to {MAX_WINDOW}.")
        if not 0 < self.confidence < 1:
            raise InvalidError(
                f"A confidence of {self.confidence} is not between 0 and 1.",
                hint="Write 95 % as 0.95.",
            )
        if not -1 < self.risk_free <= 1:
            raise InvalidError(
                f"A risk-free rate of {self.risk_free} a year is not above -1 and up to 1.",
                hint="Write 4 % as 0.04.",
            )
        if not 1 <= self.trials <= MAX_TRIALS:
            raise InvalidError(f"{self.trials} trials are not within 1 to {MAX_TRIALS}.")
        if not 0 < self.max_age <= MAX_WINDOW:
            raise InvalidError(
                f"A price cannot be stale after {self.max_age} days; take 0 to {MAX_WINDOW}.",
                hint="Two days are 2.",
            )

        if not 1 <= self.horizon <= MAX_HORIZON:
            raise InvalidError(
                f"A horizon of {self.horizon} days is not within 1 to {MAX_HORIZON}."
            )
        if self.covariance is not None and self.covariance.window != self.window:
            raise InvalidError(
                f"A covariance of {self.covariance.window} days is not one of the report's"
                f" {self.window}."
            )

    @property
    def tail(self) -> TailQuestion:
        """What is asked of the tail; paths are simulated from the same seed each time."""
        return TailQuestion(self.method, self.confidence, self.horizon)

    @property
    def is_plain_tail(self) -> bool:
        """Whether the tail as asked is the historical one of a day, as every report has it."""
        return self.method is TailMethod.HISTORICAL and self.horizon == 1

    @property
    def fresh_for(self) -> timedelta:
        """How old a price may be before it is stale."""
        return timedelta(days=self.max_age)


ASSET_FIGURES = tuple(slug for slug in FIGURES if slug not in {"herfindahl_index", "effective_n"})
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
class HeldCovariance:
    """A portfolio's volatility by year and its holdings' correlations, with what was chosen.

    `reason` says why both are None. `filled` and `missing` count returns by asset; `condition` is
    None for a singular matrix.
    """

    choice: CovarianceChoice
    volatility: float | None
    correlations: CorrelationMatrix
    reason: str
    observations: int = 0
    rank: int = 0
    condition: float | None = None
    repaired: bool = False
    filled: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


ASKED = ("value_at_risk_asked", "expected_shortfall_asked")
"""The tail by the method, at the confidence and over the horizon asked for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the registry, between what it lies at 95 %, and what that rests on.

    `value` is None where it is undefined, and `reason` says why; `low` and `high` are None where
    nothing tells how sure it is.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    observations: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Which reports of a portfolio are wanted: of instants from `since` to before `until`."""

    portfolio_id: UUID
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RiskReport:
    """A portfolio's risk: its figures, why some are None, and what they rest on.

    `figures` are keyed by `FIGURES` and `value_at_risk`, which is at the question's confidence.
    `observations` counts the returns they are of, `missing` the window's other days, and
    `benchmark_observations` the intervals shared with each benchmark. `all_figures` are those of
    the whole registry, where the question asks for them, and the tail as asked (`ASKED`) where it
    is not the plain one; `covariance` is the one that the question asks for. One that was measured
    in a batch `is_brief`: it has no holdings, correlations and notes, but the same figures.
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
    all_figures: Mapping[str, Figure] = field(default_factory=dict)
    covariance: HeldCovariance | None = None

    @property
    def stale(self) -> dict[str, datetime]:
        """The holdings whose price is older than the question allows, and since when it is."""
        return {
            each.asset: each.price_time
            for each in self.holdings
            if each.price_time is not None
            and self.as_of - each.price_time > self.question.fresh_for
        }
