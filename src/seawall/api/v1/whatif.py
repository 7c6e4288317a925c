"""What trades would change, before they are made; nothing of it is stored."""

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from seawall.api import bodies
from seawall.api.aside import ReaderAside
from seawall.api.bodies import Figure, Money, Time, Told
from seawall.api.deps import Bound
from seawall.api.depth import require_history
from seawall.api.operations import routes
from seawall.api.v1.attribution import Attribution
from seawall.api.v1.portfolios import find
from seawall.api.v1.risk import MeasuredHolding
from seawall.core.errors import InvalidError
from seawall.market.pairs import plain_name
from seawall.portfolios.schemas import TransactionType
from seawall.risk import whatif
from seawall.risk.schemas import (
    DEFAULT_BENCHMARK,
    DEFAULT_CONFIDENCE,
    DEFAULT_WINDOW,
    MAX_WINDOW,
    RiskQuestion,
)
from seawall.risk.trades import check_weights, parse_fraction, plan_trade
from seawall.risk.whatif import Plan, what_if

router = routes("/portfolios", "risk")
Amount = Annotated[str, StringConstraints(max_length=100, pattern=r"^[0-9.]+$")]
"""A decimal number above zero, or zero, as text."""
Symbol = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[^\x00]+$")]


class ProposedTrade(bodies.Body):
    """So much of an asset to buy or to sell."""

    side: Literal["buy", "sell"]
    asset: Symbol = Field(examples=["BTC"])
    quantity: Amount = Field(examples=["0.5"])
    price_usd: Amount | None = Field(default=None, description="Null: at the market's price.")


class Proposal(bodies.Body):
    """Trades, or the weights to come to, with what trading costs."""

    trades: list[ProposedTrade] = Field(default_factory=list, max_length=100)
    weights: dict[Symbol, Amount] | None = Field(
        default=None,
        max_length=100,
        description="Instead of trades: fractions that add up to 1. What is not named is sold.",
        examples=[{"BTC": "0.5", "ETH": "0.3", "USD": "0.2"}],
    )
    fee: Amount = Field(default="0", description="A fraction of what is traded.")
    as_of: Time | None = Field(default=None, description="Null: now.")
    window: int = Field(default=DEFAULT_WINDOW, ge=1, le=MAX_WINDOW)
    confidence: float = Field(default=DEFAULT_CONFIDENCE, gt=0, lt=1)
    benchmark: Symbol = DEFAULT_BENCHMARK


class PlannedTrade(Told):
    """A trade with its price and what it costs, in USD."""

    side: TransactionType
    asset: str
    quantity: Money
    price_usd: Money
    worth_usd: Money
    fee_usd: Money


class FigureChange(Told):
    """A figure before and after, and by how much it grows; a null has its reason."""

    before: Figure
    after: Figure
    change: Figure
    reason_before: str | None
    reason_after: str | None


class WhatIfSide(Told):
    """A portfolio on one side of the trades."""

    total_value_usd: Money | None
    observations: int
    holdings: list[MeasuredHolding]
    attribution: Attribution


class WhatIf(Told):
    """A portfolio before and after trades that were not made."""

    as_of: Time
    known_at: Time
    trades: list[PlannedTrade]
    paid_from: Literal["cash", "outside"]
    value_change_usd: Money | None
    figures: dict[str, FigureChange]
    before: WhatIfSide
    after: WhatIfSide
    notes: list[str]


@router.post("/{portfolio_id}/risk/what-if", operation_id="whatIf")
async def ask_what_if(apart: ReaderAside, portfolio_id: UUID, body: Proposal) -> WhatIf:
    """Measure what trades would change; nothing is stored, so a key that reads may ask."""
    plan = _plan(body)
    question = RiskQuestion(body.window, body.confidence, plain_name(body.benchmark))

    require_history(apart.request, body.as_of)

    async def within(bound: Bound) -> WhatIf:
        found = await find(bound.session, portfolio_id)
        return _told(await what_if(bound.session, found, body.as_of, question, plan))

    return await apart.run(within)


def _plan(body: Proposal) -> Plan:
    if bool(body.trades) == (body.weights is not None):
        raise InvalidError("Give trades or weights.", hint="One of them, and not both.")
    weights: dict[str, Decimal] | None = None
    if body.weights is not None:
        weights = {}
        for name, share in body.weights.items():
            asset = name.strip().upper()
            if asset in weights:
                raise InvalidError(f"{asset} has two weights.")
            weights[asset] = parse_fraction(share, f"the weight of {asset}")
        check_weights(weights)
    trades = tuple(
        plan_trade(TransactionType(each.side), each.asset, each.quantity, each.price_usd)
        for each in body.trades
    )
    return Plan(trades, weights, fee=parse_fraction(body.fee, "the fee"))


def _told(found: whatif.WhatIf) -> WhatIf:
    before, after = found.before.report, found.after.report
    changes = found.changes
    figures = {
        name: FigureChange(
            before=value,
            after=after.figures[name],
            change=changes[name],
            reason_before=before.reasons.get(name),
            reason_after=after.reasons.get(name),
        )
        for name, value in before.figures.items()
    }
    return WhatIf(
        as_of=before.as_of,
        known_at=before.known_at,
        trades=[PlannedTrade.model_validate(each) for each in found.trades],
        paid_from="cash" if found.paid_from == "cash" else "outside",
        value_change_usd=found.value_change,
        figures=figures,
        before=_side(found.before),
        after=_side(found.after),
        notes=list(dict.fromkeys((*found.notes, *before.notes, *after.notes))),
    )


def _side(side: whatif.Side) -> WhatIfSide:
    return WhatIfSide(
        total_value_usd=side.report.total_value_usd,
        observations=side.report.observations,
        holdings=[MeasuredHolding.model_validate(each) for each in side.report.holdings],
        attribution=Attribution.model_validate(side.attribution),
    )
