"""Scenarios that somebody makes up: shocks by selector, a stablecoin off its peg, a default."""

import math
from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError, name_some
from seawall.core.money import ZERO, divide, exact, multiply
from seawall.market import store as market_store
from seawall.market.prices import AssetPrices, read_prices
from seawall.portfolios import store as portfolio_store
from seawall.portfolios.schemas import CASH, HoldingRecord
from seawall.portfolios.valuation import as_decimal
from seawall.quant.stress.factor import BetaFit
from seawall.risk.benchmarks import BTC
from seawall.risk.scenarios.outcome import (
    Move,
    Outcome,
    apply_moves,
    missing_reasons,
    total_loss,
    unknown,
)
from seawall.risk.scenarios.replay import beta_facts
from seawall.risk.scenarios.schemas import (
    EVERY_STABLECOIN,
    AssetStress,
    Default,
    Depeg,
    Rest,
    Shocks,
    Source,
)
from seawall.risk.scenarios.subject import Subject

KIND, CHAIN, ALL = "kind:", "chain:", "all"
MANUAL = "manual"
_ONCE = "no recovery is modelled"


async def check_shocks(session: AsyncSession, asked: Shocks) -> None:
    """See that every selector is one, and every asset in the catalogue.

    Raises:
        InvalidError: a selector is none, or the rest goes by a beta without a shock of BTC.
        NotFoundError: an asset is in no catalogue.
    """
    given = [selector for selector, _ in asked.shocks]
    if len(set(given)) < len(given):
        raise InvalidError("The same thing is shocked twice.", hint="Name each of them once.")
    if asked.rest is Rest.BETA and BTC not in given:
        raise InvalidError(
            "The rest is to follow BTC, which has no shock.",
            hint="Give BTC a shock too, such as -40%.",
        )
    named = {each for each in given if each != ALL and not each.startswith((KIND, CHAIN))}
    lacking = named - set(await market_store.find_assets(session, named)) - {CASH}
    if lacking:
        raise NotFoundError(
            f"There is no asset {', '.join(sorted(lacking))}.",
            hint=f"Shock an asset's symbol, {KIND}stablecoin, {CHAIN}ethereum, or {ALL}.",
        )


def shock_portfolio(subject: Subject, asked: Shocks) -> Outcome:
    """Let what shocks select move by them, and the rest by nothing or its beta to BTC's shock."""
    shocks = dict(asked.shocks)
    moves = {asset: _shocked(subject, asset, shocks, asked.rest) for asset in subject.assets}
    assets = apply_moves(subject, moves)
    touched = {_selector(subject, asset, shocks) for asset in subject.assets}
    idle = [selector for selector in shocks if selector not in touched]
    unused = [each for each in idle if not (each == BTC and asked.rest is Rest.BETA)]
    written = [f"{selector} {shock * 100:+g} %" for selector, shock in asked.shocks]
    return Outcome(
        title=f"{asked.name}: {name_some(written, 3)}",
        assets=assets,
        loss_usd=total_loss(assets),
        reasons={"recovery": _ONCE, **missing_reasons(assets, "too few returns for a beta")},
        notes=(f"Nothing that is held is {', '.join(unused)}.",) if unused else (),
    )


def _selector(subject: Subject, asset: str, shocks: Mapping[str, float]) -> str | None:
    """Return the selector that an asset's shock comes from: the most particular one."""
    ordered = (
        asset,
        f"{CHAIN}{subject.chains.get(asset, '').lower()}",
        f"{KIND}{subject.kinds.get(asset, '')}",
        # Money is what is left when everything falls: only its own name or kind moves it.
        *([] if asset == CASH else [ALL]),
    )
    return next((each for each in ordered if each in shocks), None)


def _shocked(subject: Subject, asset: str, shocks: Mapping[str, float], rest: Rest) -> Move:
    selector = _selector(subject, asset, shocks)
    if selector is not None:
        return Move(shocks[selector], Source.GIVEN, {"selector": selector})
    beta: BetaFit = subject.betas[asset]
    if rest is Rest.NONE or subject.is_money(asset):
        return Move(0.0, Source.STILL)
    source = Source.UNKNOWN if math.isnan(beta.beta) else Source.FACTOR
    moved = max(beta.beta * shocks[BTC], -1.0) if source is Source.FACTOR else math.nan
    return Move(moved, source, beta_facts(beta))


async def check_depeg(session: AsyncSession, asked: Depeg) -> None:
    """See that what loses its peg is a stablecoin.

    Raises:
        NotFoundError: there is no such asset.
        InvalidError: it is not a stablecoin.
    """
    if asked.asset == EVERY_STABLECOIN:
        return
    found = (await market_store.find_assets(session, [asked.asset])).get(asked.asset)
    if found is None:
        raise NotFoundError(
            f"There is no asset {asked.asset}.", hint="Hold or import prices of it first."
        )
    if found.kind != "stablecoin":
        raise InvalidError(
            f"{asked.asset} is not a stablecoin, but {found.kind}.",
            hint=f"Give {asked.asset} a shock instead, such as -40%.",
        )


def break_peg(subject: Subject, asked: Depeg) -> Outcome:
    """Put a stablecoin, or every one that is held, at a price; nothing else moves."""
    prices = {
        each.asset: each.price.usd for each in subject.valuation.holdings if each.price is not None
    }
    stable = [each for each in subject.assets if subject.kinds.get(each) == "stablecoin"]
    broken = [each for each in stable if asked.asset in {EVERY_STABLECOIN, each}]
    moves = {
        asset: Move(_fall(prices[asset], asked.price), Source.GIVEN, {"price": asked.price})
        if asset in broken
        else Move(0.0, Source.STILL)
        for asset in subject.assets
    }
    assets = apply_moves(subject, moves)
    name = asked.asset or "Every stablecoin"
    notes = [] if broken else [f"{name} is not held, so nothing is lost."]
    quoted = _quoted_in(subject, {asked.asset} if asked.asset else set(broken))
    if quoted:
        notes.append(
            f"{', '.join(quoted)}: priced by pairs quoted in a stablecoin that loses its peg. Such"
            " a pair's price would rise as it falls; their prices in USD are left as they are."
        )
    return Outcome(
        title=f"{name} at {asked.price:g} USD",
        assets=assets,
        loss_usd=total_loss(assets),
        reasons={"recovery": _ONCE},
        notes=tuple(notes),
    )


def _fall(current: float, price: float) -> float:
    """Return the shock from one price to another, as exact as their decimals: 1 to 0.9 is -0.1."""
    with exact():
        return float(divide(as_decimal(price), as_decimal(current)) - 1)


def _quoted_in(subject: Subject, stablecoins: set[str]) -> list[str]:
    found = []
    for asset in subject.assets:
        prices = subject.valuation.prices.get(asset)
        pair = None if prices is None else prices.best(subject.as_of)
        if pair is not None and pair.symbol.quote.symbol in stablecoins:
            found.append(asset)
    return found


async def list_places(session: AsyncSession, subject: Subject) -> list[HoldingRecord]:
    """Return what exchanges report that they hold for the portfolio, as of now."""
    held = await portfolio_store.list_holdings(session, subject.valuation.portfolio.id)
    return [each for each in held if each.exchange_source != MANUAL]


async def default_of(session: AsyncSession, subject: Subject, asked: Default) -> Outcome:
    """Lose all that a place holds but what is paid back.

    Raises:
        NotFoundError: nothing is held there.
    """
    title = f"Default of {asked.place}, {asked.recovery:.0%} paid back"
    elsewhere = await list_places(session, subject)
    places = {MANUAL, *(each.exchange_source for each in elsewhere)}
    if asked.place not in places:
        raise NotFoundError(
            f"Nothing is held at {asked.place!r}.",
            hint=f"Holdings are at: {', '.join(sorted(places))}.",
        )
    if asked.place != MANUAL and subject.as_of < subject.moment.known_at:
        return unknown(title, "what exchanges hold is known of now, not of then")
    prices = await _prices_of(session, subject, elsewhere)
    lost: dict[str, Decimal] = dict(subject.values) if asked.place == MANUAL else {}
    with exact():
        total = subject.total
        for each in elsewhere:
            price = prices[each.asset].at(subject.as_of)
            if price is None:
                return unknown(title, f"no price of {each.asset} is known")
            value = multiply(each.quantity, as_decimal(price.usd), f"the value of {each.asset}")
            total += value
            if each.exchange_source == asked.place:
                lost[each.asset] = lost.get(each.asset, ZERO) + value
    shock = _fall(1.0, asked.recovery)
    assets = tuple(
        AssetStress(
            asset,
            value,
            float(value) / float(total),
            shock,
            multiply(value, as_decimal(-shock), "the loss"),
            Source.GIVEN,
            {"place": asked.place},
        )
        for asset, value in lost.items()
    )
    whole = "" if not elsewhere else " The value is the ledger's and what exchanges report."
    return Outcome(
        title=title,
        assets=assets,
        loss_usd=total_loss(assets),
        value=total,
        reasons={"recovery": "how long a claim takes is not modelled"},
        notes=(f"All that is held at {asked.place} is a claim on it.{whole}",),
    )


async def _prices_of(
    session: AsyncSession, subject: Subject, held: list[HoldingRecord]
) -> dict[str, AssetPrices]:
    assets = await market_store.find_assets(session, {each.asset for each in held})
    moment = subject.moment
    return await read_prices(session, list(assets.values()), {moment.as_of}, None, moment.known_at)
