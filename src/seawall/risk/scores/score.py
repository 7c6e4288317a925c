"""Scoring assets: as of an instant, kept one for each day, and the same again as it was known."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError, name_some
from seawall.core.time import EPOCH, iso, parse_time
from seawall.db.locks import clock, lock_prices
from seawall.market.prices import FRESH_FOR
from seawall.portfolios.valuation import Moment
from seawall.quant.scores import SCALES, STATUSES, Component, Level, combine
from seawall.risk.scores import store
from seawall.risk.scores.gather import SERIES, gather, gather_series
from seawall.risk.scores.schemas import AssetScore, Fact, Facts, ScoredComponent
from seawall.risk.tables import RiskScore

_COLUMNS = (
    Component.VOLATILITY,
    Component.LIQUIDITY,
    Component.SOCIAL_SENTIMENT,
    Component.ON_CHAIN,
)
_FACTS_ONLY = frozenset({Component.AGE})
"""Components whose fact has a date that says nothing of how current it is."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A kept score beside the same one computed again, and whether they are identical."""

    kept: AssetScore
    again: AssetScore

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return self.kept == self.again


async def score_assets(
    session: AsyncSession,
    as_of: datetime | None = None,
    symbols: Collection[str] | None = None,
    *,
    keep: bool = True,
) -> list[AssetScore]:
    """Score coins and stablecoins as of an instant, by symbol; None for now, and for all of them.

    With `keep`, each that has a score becomes the one of its UTC day, unless one of later, or made
    with later knowledge, is kept.

    Raises:
        NotFoundError: one of the symbols is no coin of the catalogue.
        InvalidError: `as_of` is in the future, or before anything can have happened.
    """
    assets = await store.list_scorable(session, symbols)
    lacking = sorted(set(symbols or ()) - {each.symbol for each in assets})
    if lacking:
        raise NotFoundError(
            f"No coin named {name_some(lacking)} is known.",
            hint="Import its prices.",
        )
    await lock_prices(session, {each.symbol for each in assets}, shared=True)
    known_at = await clock(session)
    if as_of is not None and not EPOCH <= as_of <= known_at:
        raise InvalidError(f"{iso(as_of)} is in the future, or before any price.")
    moment = Moment(as_of or known_at, known_at)
    found = [score(await gather(session, asset, moment)) for asset in assets]
    if keep:
        for each in found:
            if each.score is not None:
                await store.put_score(session, _row(each))
    return found


def score(facts: Facts) -> AssetScore:
    """Score what is known of an asset."""
    scores = {each: _component_score(each, fact) for each, fact in facts.by_component.items()}
    made = combine(scores)
    parts = {} if made is None else made.parts
    components = []
    for each in Component:
        fact = facts.by_component[each]
        part = parts.get(each)
        own = scores[each]
        components.append(
            ScoredComponent(
                component=each,
                input=fact.value,
                score=None if math.isnan(own) else own,
                weight=0.0 if part is None else part.weight,
                contribution=0.0 if part is None else part.contribution,
                data_time=fact.time,
                data_age_seconds=_age(each, fact, facts.as_of),
                reason=f"missing: {fact.reason}" if fact.value is None else "",
            )
        )
    unknown = facts.by_component[Component.VOLATILITY].reason
    return AssetScore(
        asset=facts.asset,
        asset_id=facts.asset_id,
        as_of=facts.as_of,
        known_at=facts.known_at,
        score=None if made is None else made.value,
        level=None if made is None else made.level,
        components=tuple(components),
        reason="" if made is not None else f"no volatility: {unknown}",
        notes=_notes(facts),
    )


def _component_score(component: Component, fact: Fact) -> float:
    match fact.value:
        case None:
            return math.nan
        case str(word):
            return STATUSES[component][word]
        case float(value) if component is Component.SOCIAL_SENTIMENT:
            return value
        case value:
            return SCALES[component].score(value)


def _age(component: Component, fact: Fact, as_of: datetime) -> float | None:
    if fact.time is None or component in _FACTS_ONLY:
        return None
    return (as_of - fact.time).total_seconds()


def _notes(facts: Facts) -> tuple[str, ...]:
    time = facts.by_component[Component.VOLATILITY].time
    if time is None or facts.as_of - time <= FRESH_FOR:
        return ()
    return (f"The prices are stale since {iso(time)}.",)


def _row(made: AssetScore) -> dict[str, Any]:
    own = {each.component: each for each in made.components}
    listings = own[Component.LISTINGS].input
    return {
        "asset_id": made.asset_id,
        "calculated_at": made.as_of,
        "risk_score": made.score,
        "risk_level": made.level,
        **{f"{each}_score": own[each].score for each in _COLUMNS},
        "audit_status": own[Component.AUDIT].input,
        "team_status": own[Component.TEAM].input,
        "exchange_listings_count": int(listings) if isinstance(listings, float) else None,
        "factors": {
            "known_at": iso(made.known_at),
            "components": [_packed(each) for each in made.components],
            "notes": list(made.notes),
        },
    }


def _packed(each: ScoredComponent) -> dict[str, object]:
    return {
        "component": each.component.value,
        "input": each.input,
        "score": each.score,
        "weight": each.weight,
        "contribution": each.contribution,
        "data_time": None if each.data_time is None else iso(each.data_time),
        "data_age_seconds": each.data_age_seconds,
        "reason": each.reason,
    }


async def latest_scores(
    session: AsyncSession, symbols: Collection[str] | None = None, as_of: datetime | None = None
) -> list[AssetScore]:
    """Return the newest kept score of each asset by an instant, now if none is given, by symbol.

    Rows that say nothing of how they were made, such as made-up ones, are left out.
    """
    by = await clock(session) if as_of is None else as_of
    rows = await store.list_scores(session, symbols, by)
    return [_kept(symbol, row) for symbol, row in rows if "known_at" in row.factors]


def _kept(symbol: str, row: RiskScore) -> AssetScore:
    factors = row.factors
    return AssetScore(
        asset=symbol,
        asset_id=row.asset_id,
        as_of=row.calculated_at,
        known_at=parse_time(factors["known_at"]),
        score=row.risk_score,
        level=Level(row.risk_level),
        components=tuple(_unpacked(each) for each in factors["components"]),
        reason="",
        notes=tuple(factors["notes"]),
    )


def _unpacked(packed: Mapping[str, Any]) -> ScoredComponent:
    time = packed["data_time"]
    return ScoredComponent(
        **{
            **packed,
            "component": Component(packed["component"]),
            "data_time": None if time is None else parse_time(time),
        }
    )


async def recompute(session: AsyncSession, kept: AssetScore) -> Recomputed:
    """Score again what was known when a score was made.

    Prices and volumes are read again as they were known then; what is held without its history,
    such as an audit, is taken from the kept score.
    """
    asset = (await store.list_scorable(session, [kept.asset]))[0]
    stored = {
        each.component: Fact(each.input, each.data_time, each.reason.removeprefix("missing: "))
        for each in kept.components
    }
    moment = Moment(kept.as_of, kept.known_at)
    read = await gather_series(session, asset, moment)
    assert read.keys() == SERIES  # noqa: S101 - all of them, or `stored` would vouch for itself
    facts = Facts(kept.asset, kept.asset_id, kept.as_of, kept.known_at, stored | read)
    return Recomputed(kept, replace(score(facts)))
