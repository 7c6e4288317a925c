"""Whose risk it is: what each holding, class, chain or place adds to a portfolio's."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field

from seawall.api.aside import ReaderAside
from seawall.api.bodies import Figure, Told
from seawall.api.deps import Bound
from seawall.api.depth import AsOf
from seawall.api.operations import routes
from seawall.api.v1.portfolios import find
from seawall.market.pairs import SP500
from seawall.portfolios.valuation import begin
from seawall.quant.attribution import RiskMeasure
from seawall.risk.attribution import Grouping, attribute_portfolio
from seawall.risk.benchmarks import BTC
from seawall.risk.schemas import DEFAULT_CONFIDENCE, DEFAULT_WINDOW, MAX_WINDOW, RiskQuestion

router = routes("/portfolios", "risk")
Window = Annotated[int, Query(ge=1, le=MAX_WINDOW, description="Daily returns to measure.")]
Confidence = Annotated[float, Query(gt=0, lt=1, description="Of the tails, over one day.")]


class RiskPart(Told):
    """What one holding or group has to do with a measure; null where undefined."""

    name: str = Field(examples=["BTC"])
    weight: Figure
    component: Figure = Field(description="Its part of the total; they add up to it.")
    share: Figure
    marginal: Figure
    standalone: Figure
    incremental: Figure


class AttributedRisk(Told):
    """A measure's total and its parts, the heaviest first; `reason` says why they are null."""

    measure: RiskMeasure
    total: Figure
    diversification: Figure
    days: int
    reason: str
    parts: list[RiskPart]


class Attribution(Told):
    """A portfolio's risk, taken apart."""

    by: Grouping
    confidence: float
    measures: list[AttributedRisk]
    reason: str = Field(description="Why nothing could be measured, where there are no measures.")
    notes: list[str]


@router.get("/{portfolio_id}/risk/attribution", operation_id="getAttribution")
async def get_attribution(
    apart: ReaderAside,
    portfolio_id: UUID,
    *,
    by: Grouping = Grouping.ASSET,
    as_of: AsOf,
    window: Window = DEFAULT_WINDOW,
    confidence: Confidence = DEFAULT_CONFIDENCE,
) -> Attribution:
    """Take a portfolio's risk of an instant, now if none is given, apart."""
    question = RiskQuestion(window, confidence)

    async def within(bound: Bound) -> Attribution:
        return await _attribute(bound, portfolio_id, as_of, (question, by))

    return await apart.run(within)


async def _attribute(
    bound: Bound,
    portfolio_id: UUID,
    as_of: datetime | None,
    asked: tuple[RiskQuestion, Grouping],
) -> Attribution:
    found = await find(bound.session, portfolio_id)
    moment = await begin(bound.session, found, as_of, {BTC, SP500})
    return Attribution.model_validate(
        await attribute_portfolio(bound.session, found, moment, *asked)
    )
