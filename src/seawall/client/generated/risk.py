"""Risk: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request
from seawall.client.generated.shared import TransactionType


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlations:
    """The correlations of what is held; null where one is undefined."""

    assets: list[str]
    values: list[list[float | None]]


CovarianceEstimator = str


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureChange:
    """A figure before and after, and by how much it grows; a null has its reason."""

    before: float | None
    after: float | None
    change: float | None
    reason_before: str | None
    reason_after: str | None


HistoryMethod = str


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSale:
    """A part of a lot that a sale would take."""

    acquired: datetime
    held_days: int
    quantity: Decimal
    cost_basis: Decimal
    proceeds_usd: Decimal
    profit_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAsset:
    """What was measured of an asset over the window that ends at a midnight."""

    asset: str
    time: datetime
    known_at: datetime
    window: int
    benchmark: str
    observations: int
    figures: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFigure:
    """A figure of the registry, between what it lies at 95 %, and what that rests on."""

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    observations: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredHolding:
    """A holding with the price that it was measured at."""

    asset: str
    quantity: Decimal
    price_usd: Decimal | None
    price_time: datetime | None
    price_source: str
    value_usd: Decimal | None
    weight: float | None


MetricDirection = str

MetricUnit = str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisationOutlook:
    """What weights come to; null where there are too few days."""

    volatility: float | None
    expected_shortfall: float | None
    mean_return: float | None


PeerMethod = str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrade:
    """A trade with its price and what it costs, in USD."""

    side: TransactionType
    asset: str
    quantity: Decimal
    price_usd: Decimal
    worth_usd: Decimal
    fee_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedTrade:
    """So much of an asset to buy or to sell."""

    side: str
    asset: str
    quantity: str
    price_usd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMeasurement:
    """What a worker will do."""

    job: str
    portfolio_id: UUID


RiskGrouping = str

RiskLevel = str

RiskMeasure = str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPart:
    """What one holding or group has to do with a measure; null where undefined."""

    name: str
    weight: float | None
    component: float | None
    share: float | None
    marginal: float | None
    standalone: float | None
    incremental: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskQuestion:
    """What was asked: of how many daily returns, at which confidence, against what."""

    window: int
    confidence: float
    benchmark: str
    risk_free: float
    horizon: int


ScoreComponentName = str

TailMethod = str

TargetMethod = str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWeight:
    """An asset's weight now and wanted, and its share of the variance before and after."""

    asset: str
    weight: float | None
    target: float | None
    risk_share: float | None
    target_risk_share: float | None
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributedRisk:
    """A measure's total and its parts, the heaviest first; `reason` says why they are null."""

    measure: RiskMeasure
    total: float | None
    diversification: float | None
    days: int
    reason: str
    parts: list[RiskPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class CovarianceWish:
    """Which covariance is measured besides, of histories of any length."""

    estimator: CovarianceEstimator | None = None
    histories: HistoryMethod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAssets:
    """The newest figures of each asset, by symbol."""

    items: list[MeasuredAsset]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCovariance:
    """The volatility by year and the correlations, by the covariance that was asked for."""

    volatility: float | None
    correlations: Correlations
    reason: str
    observations: int
    rank: int
    condition: float | None
    repaired: bool
    filled: dict[str, int]
    missing: dict[str, int]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPortfolio:
    """The figures of a portfolio as of an instant, by their slugs; a null has its reason."""

    id: UUID
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: RiskQuestion
    total_value_usd: Decimal | None
    observations: int
    missing: int
    figures: dict[str, float | None]
    reasons: dict[str, str]
    is_brief: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceTrade:
    """A trade that is proposed, at the price that is expected after slippage."""

    asset: str
    side: TransactionType
    quantity: Decimal
    price_usd: Decimal
    value_usd: Decimal
    fee_usd: Decimal
    slippage_usd: Decimal
    cash_usd: Decimal
    realised_usd: Decimal | None
    lots: list[LotSale]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskMetric:
    """What a figure is called, what it means, and where it comes from."""

    slug: str
    name: str
    unit: MetricUnit
    direction: MetricDirection
    formula: str
    source: str
    min_observations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreComponent:
    """A part of a score: its own, what it weighs and adds, and how old its fact was."""

    component: ScoreComponentName
    input: float | str | None
    score: float | None
    weight: float | None
    contribution: float | None
    data_time: datetime | None
    data_age_seconds: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCap:
    """The most that assets may weigh together, named themselves or by a label of a grouping."""

    by: RiskGrouping | None = None
    names: list[str]
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetScore:
    """How risky an asset is, from 0 to 100; what is scored adds up to it."""

    asset: str
    as_of: datetime
    known_at: datetime
    score: float | None
    level: RiskLevel | None
    components: list[ScoreComponent]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A portfolio's risk, taken apart."""

    by: RiskGrouping
    confidence: float
    measures: list[AttributedRisk]
    reason: str
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPortfolioPage:
    """A page of a list."""

    items: list[MeasuredPortfolio]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancePlan:
    """Trades, sells first, with what they cost and leave."""

    trades: list[RebalanceTrade]
    cash_before: Decimal | None
    cash_after: Decimal
    turnover_usd: Decimal
    fees_usd: Decimal
    slippage_usd: Decimal
    realised_usd: Decimal
    weights: dict[str, float | None]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputedReport:
    """A kept report, computed again from what was known when it was made."""

    identical: bool
    differs: list[str]
    kept: MeasuredPortfolio
    again: MeasuredPortfolio


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskMetrics:
    """Every figure that Seawall knows."""

    items: list[RiskMetric]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """A report in full; `all_figures` and `covariance` are there where they were asked for."""

    id: UUID
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: RiskQuestion
    total_value_usd: Decimal | None
    observations: int
    missing: int
    figures: dict[str, float | None]
    reasons: dict[str, str]
    is_brief: bool
    all_figures: dict[str, MeasuredFigure]
    covariance: MeasuredCovariance | None
    correlation_matrix: Correlations
    holdings: list[MeasuredHolding]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetScores:
    """The newest score of each asset, by symbol."""

    items: list[AssetScore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """Target weights with what they rest on and change, and the trades that lead there."""

    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    total_value_usd: Decimal
    weights: list[TargetWeight]
    before: OptimisationOutlook
    target: OptimisationOutlook
    traded: OptimisationOutlook
    observations: int
    condition: float | None
    repaired: bool
    filled: dict[str, int]
    missing: dict[str, int]
    plan: RebalancePlan
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfSide:
    """A portfolio on one side of the trades."""

    total_value_usd: Decimal | None
    observations: int
    holdings: list[MeasuredHolding]
    attribution: Attribution


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A portfolio before and after trades that were not made."""

    as_of: datetime
    known_at: datetime
    trades: list[PlannedTrade]
    paid_from: str
    value_change_usd: Decimal | None
    figures: dict[str, FigureChange]
    before: WhatIfSide
    after: WhatIfSide
    notes: list[str]


class RiskOperations(Connection):
    """What the API does about risk."""

    def get_attribution(
        self,
        portfolio_id: UUID,
        *,
        by: Literal["asset", "class", "chain", "exchange", "strategy"] | Omitted = OMITTED,
        window: int | Omitted = OMITTED,
        confidence: float | Omitted = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
    ) -> Attribution:
        """Take a portfolio's risk of an instant, now if none is given, apart."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/risk/attribution",
            query={"by": by, "window": window, "confidence": confidence, "as_of": as_of},
        )
        return self.send(request, TypeAdapter(Attribution))

    def get_risk(self, portfolio_id: UUID) -> RiskReport:
        """Tell what was last measured of a portfolio."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/risk")
        return self.send(request, TypeAdapter(RiskReport))

    def get_risk_report(self, report_id: UUID) -> RiskReport:
        """Tell of a report that was kept."""
        request = Request("GET", f"/api/v1/risk/reports/{report_id}")
        return self.send(request, TypeAdapter(RiskReport))

    def get_tear_sheet(self, report_id: UUID) -> None:
        """Give a report as one page to keep: it loads nothing, and has its charts in it."""
        request = Request("GET", f"/api/v1/risk/reports/{report_id}/tear-sheet")
        self.raw(request)

    def list_asset_risk(
        self,
        *,
        assets: list[str] | Omitted | None = OMITTED,
        window: Literal[30, 90, 365] | Omitted = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
    ) -> MeasuredAssets:
        """Tell the newest figures of assets by an instant, now if none is given."""
        request = Request(
            "GET", "/api/v1/risk/assets", query={"assets": assets, "window": window, "as_of": as_of}
        )
        return self.send(request, TypeAdapter(MeasuredAssets))

    def list_latest_risk(
        self,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> MeasuredPortfolioPage:
        """Tell what was last measured of each portfolio that was; by the ids of the portfolios."""
        request = Request(
            "GET", "/api/v1/risk/latest", query={"limit": limit, "cursor": cursor, "total": total}
        )
        return self.send(request, TypeAdapter(MeasuredPortfolioPage))

    def list_metrics(self) -> RiskMetrics:
        """List every figure of the registry."""
        request = Request("GET", "/api/v1/risk/metrics")
        return self.send(request, TypeAdapter(RiskMetrics))

    def list_risk_history(
        self,
        portfolio_id: UUID,
        *,
        sort: Literal["as_of", "-as_of", "known_at", "-known_at"] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
    ) -> MeasuredPortfolioPage:
        """List what was measured of instants from `since` to before `until`, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/risk/history",
            query={
                "sort": sort,
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "since": since,
                "until": until,
            },
        )
        return self.send(request, TypeAdapter(MeasuredPortfolioPage))

    def list_scores(
        self,
        *,
        assets: list[str] | Omitted | None = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
    ) -> AssetScores:
        """Tell the newest scores by an instant, now if none is given."""
        request = Request("GET", "/api/v1/risk/scores", query={"assets": assets, "as_of": as_of})
        return self.send(request, TypeAdapter(AssetScores))

    def measure_risk(
        self, portfolio_id: UUID, *, idempotency_key: str | None = None
    ) -> QueuedMeasurement:
        """Have a worker measure a portfolio's risk as it is now."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/reports",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(QueuedMeasurement))

    def optimise(
        self,
        portfolio_id: UUID,
        *,
        method: Literal["min-variance", "risk-parity", "hrp", "mean-cvar"]
        | Literal["skfolio:max-sharpe", "skfolio:max-diversification", "skfolio:nco"]
        | Omitted = OMITTED,
        covariance: Literal["sample", "ewma", "ledoit-wolf", "constant-correlation", "denoised"]
        | Omitted = OMITTED,
        histories: Literal["common", "pairwise", "proxy"] | Omitted = OMITTED,
        window: int | Omitted = OMITTED,
        confidence: float | Omitted = OMITTED,
        min_weight: float | Omitted = OMITTED,
        max_weight: float | Omitted = OMITTED,
        caps: list[WeightCap] | Omitted = OMITTED,
        keep: list[str] | Omitted = OMITTED,
        cash: float | Omitted | None = OMITTED,
        target_return: float | Omitted | None = OMITTED,
        turnover: float | Omitted | None = OMITTED,
        fee: str | Omitted = OMITTED,
        slippage: str | Omitted = OMITTED,
        band: str | Omitted = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
    ) -> Optimisation:
        """Propose weights for what is held; nothing is stored, so a key that reads may ask."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/optimisation",
            json={
                "method": method,
                "covariance": covariance,
                "histories": histories,
                "window": window,
                "confidence": confidence,
                "min_weight": min_weight,
                "max_weight": max_weight,
                "caps": caps,
                "keep": keep,
                "cash": cash,
                "target_return": target_return,
                "turnover": turnover,
                "fee": fee,
                "slippage": slippage,
                "band": band,
                "as_of": as_of,
            },
        )
        return self.send(request, TypeAdapter(Optimisation))

    def recompute_risk_report(self, report_id: UUID) -> RecomputedReport:
        """Compute a kept report again as it was known, and compare."""
        request = Request("GET", f"/api/v1/risk/reports/{report_id}/recomputation")
        return self.send(request, TypeAdapter(RecomputedReport))

    def report_risk(
        self,
        portfolio_id: UUID,
        *,
        idempotency_key: str | None = None,
        as_of: datetime | Omitted | None = OMITTED,
        window: int | Omitted = OMITTED,
        confidence: float | Omitted = OMITTED,
        benchmark: str | Omitted = OMITTED,
        risk_free: float | Omitted = OMITTED,
        trials: int | Omitted = OMITTED,
        max_age: float | Omitted = OMITTED,
        everything: bool | Omitted = OMITTED,
        method: Literal[
            "historical", "gaussian", "cornish-fisher", "filtered", "filtered-ewma", "copula"
        ]
        | Omitted = OMITTED,
        horizon: int | Omitted = OMITTED,
        covariance: CovarianceWish | Omitted | None = OMITTED,
    ) -> RiskReport:
        """Measure a portfolio's risk as it is asked, and keep the report."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/reports/now",
            json={
                "as_of": as_of,
                "window": window,
                "confidence": confidence,
                "benchmark": benchmark,
                "risk_free": risk_free,
                "trials": trials,
                "max_age": max_age,
                "everything": everything,
                "method": method,
                "horizon": horizon,
                "covariance": covariance,
            },
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(RiskReport))

    def what_if(
        self,
        portfolio_id: UUID,
        *,
        trades: list[ProposedTrade] | Omitted = OMITTED,
        weights: dict[str, Any] | Omitted | None = OMITTED,
        fee: str | Omitted = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
        window: int | Omitted = OMITTED,
        confidence: float | Omitted = OMITTED,
        benchmark: str | Omitted = OMITTED,
    ) -> WhatIf:
        """Measure what trades would change; nothing is stored, so a key that reads may ask."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/what-if",
            json={
                "trades": trades,
                "weights": weights,
                "fee": fee,
                "as_of": as_of,
                "window": window,
                "confidence": confidence,
                "benchmark": benchmark,
            },
        )
        return self.send(request, TypeAdapter(WhatIf))
