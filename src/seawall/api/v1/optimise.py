"""Target weights by a rule, what they change, and the trades to them; nothing is stored."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from seawall.api import bodies
from seawall.api.aside import ReaderAside
from seawall.api.bodies import Figure, Money, Time, Told
from seawall.api.deps import Bound
from seawall.api.depth import require_history
from seawall.api.operations import routes
from seawall.api.v1.portfolios import find
from seawall.api.v1.whatif import Amount, Symbol
from seawall.core.money import parse_amount
from seawall.portfolios.schemas import TransactionType
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.optimise.peers import PeerMethod
from seawall.risk.attribution import Grouping
from seawall.risk.optimise import optimise
from seawall.risk.rebalance import TradingCosts
from seawall.risk.schemas import DEFAULT_CONFIDENCE, DEFAULT_WINDOW, CovarianceChoice
from seawall.risk.targets import Bounds, Cap, Method, OptimiseQuestion

router = routes("/portfolios", "risk")
_Share = Annotated[float, Field(ge=0, le=1)]
_LONGEST = 3_650
_Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class WeightCap(bodies.Body):
    """The most that assets may weigh together, named themselves or by a label of a grouping."""

    by: Grouping = Grouping.ASSET
    names: list[_Label] = Field(min_length=1, max_length=100, examples=[["BTC", "ETH"]])
    most: _Share


class Wish(bodies.Body):
    """By which rule, from which returns, within which bounds, at which costs."""

    method: Method | PeerMethod = Method.MIN_VARIANCE
    covariance: Estimator = Estimator.LEDOIT_WOLF
    histories: HistoryMethod = HistoryMethod.COMMON
    window: int = Field(default=DEFAULT_WINDOW, ge=2, le=_LONGEST)
    confidence: float = Field(default=DEFAULT_CONFIDENCE, gt=0, lt=1)
    min_weight: _Share = 0.0
    max_weight: _Share = 1.0
    caps: list[WeightCap] = Field(default_factory=list, max_length=50)
    keep: list[Symbol] = Field(default_factory=list, max_length=100)
    cash: _Share | None = Field(default=None, description="Null: as it is now.")
    target_return: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="The least mean return by year."
    )
    turnover: _Share | None = None
    fee: Amount = "0.001"
    slippage: Amount = "0.0005"
    band: Amount = "0"
    as_of: Time | None = Field(default=None, description="Null: now.")


class TargetWeight(Told):
    """An asset's weight now and wanted, and its share of the variance before and after."""

    asset: str
    weight: Figure
    target: Figure
    risk_share: Figure
    target_risk_share: Figure
    kept: bool


class Outlook(Told):
    """What weights come to; null where there are too few days."""

    volatility: Figure
    expected_shortfall: Figure
    mean_return: Figure


class LotSale(Told):
    """A part of a lot that a sale would take."""

    acquired: Time
    held_days: int
    quantity: Money
    cost_basis: Money
    proceeds_usd: Money
    profit_usd: Money


class RebalanceTrade(Told):
    """A trade that is proposed, at the price that is expected after slippage."""

    asset: str
    side: TransactionType
    quantity: Money
    price_usd: Money
    value_usd: Money
    fee_usd: Money
    slippage_usd: Money
    cash_usd: Money
    realised_usd: Money | None
    lots: list[LotSale]


class Rebalance(Told):
    """Trades, sells first, with what they cost and leave."""

    trades: list[RebalanceTrade]
    cash_before: Money | None
    cash_after: Money
    turnover_usd: Money
    fees_usd: Money
    slippage_usd: Money
    realised_usd: Money
    weights: dict[str, Figure]
    notes: list[str]


class Optimisation(Told):
    """Target weights with what they rest on and change, and the trades that lead there."""

    portfolio_id: UUID
    as_of: Time
    known_at: Time
    total_value_usd: Money
    weights: list[TargetWeight]
    before: Outlook
    target: Outlook
    traded: Outlook = Field(description="Of what the trades really reach.")
    observations: int
    condition: Figure
    repaired: bool
    filled: dict[str, int]
    missing: dict[str, int]
    plan: Rebalance
    notes: list[str]


@router.post("/{portfolio_id}/risk/optimisation", operation_id="optimise")
async def ask(apart: ReaderAside, portfolio_id: UUID, body: Wish) -> Optimisation:
    """Propose weights for what is held; nothing is stored, so a key that reads may ask."""
    question = _question(body)

    require_history(apart.request, body.as_of)

    async def within(bound: Bound) -> Optimisation:
        found = await find(bound.session, portfolio_id)
        return Optimisation.model_validate(
            await optimise(bound.session, found, body.as_of, question)
        )

    return await apart.run(within)


def _question(body: Wish) -> OptimiseQuestion:
    return OptimiseQuestion(
        method=body.method,
        covariance=CovarianceChoice(body.covariance, body.histories, body.window),
        confidence=body.confidence,
        bounds=Bounds(
            body.min_weight,
            body.max_weight,
            tuple(Cap(tuple(each.names), each.most, each.by) for each in body.caps),
            body.target_return,
            body.turnover,
            tuple(each.strip().upper() for each in body.keep),
            body.cash,
        ),
        costs=TradingCosts(
            parse_amount(body.fee, "fee"),
            parse_amount(body.slippage, "slippage"),
            parse_amount(body.band, "band"),
        ),
    )
