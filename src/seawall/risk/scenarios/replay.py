"""Events over again: with the prices of then where they are held, else with a beta to BTC."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY
from seawall.market import store as market_store
from seawall.market.prices import AssetPrices, read_prices
from seawall.quant.stress.factor import BetaFit, factor_path
from seawall.quant.stress.losses import PathLoss, path_losses, rows_to_recover, worst_of
from seawall.quant.types import FloatArray
from seawall.risk.benchmarks import BTC
from seawall.risk.exposure import Window
from seawall.risk.scenarios.catalogue import Event
from seawall.risk.scenarios.outcome import (
    Move,
    Outcome,
    apply_moves,
    known,
    missing_reasons,
    replayed_share,
    total_loss,
    unknown,
)
from seawall.risk.scenarios.schemas import Fact, Source
from seawall.risk.scenarios.subject import Subject

FLOOR = -1.0


@dataclass(frozen=True, slots=True)
class Path:
    """An asset through an event: (T,) prices as parts of the first, and how they are known.

    `after` goes on until the portfolio's instant, on the same pair; empty where it was not
    replayed.
    """

    relatives: FloatArray
    source: Source
    after: FloatArray
    facts: Mapping[str, Fact]


async def read_past(
    session: AsyncSession, subject: Subject, events: Sequence[Event]
) -> dict[str, AssetPrices]:
    """Read the daily prices of what is held, and of BTC, since the first of these events."""
    over = [event for event in events if event.end <= subject.as_of]
    if not over or subject.reason:
        return {}
    assets = await market_store.find_assets(session, {*subject.assets, BTC})
    last = Window(subject.as_of, 0).last
    midnights = (min(event.start for event in over), last)
    moments = {event.end for event in over}
    return await read_prices(
        session, list(assets.values()), moments, midnights, subject.moment.known_at
    )


def replay_event(subject: Subject, event: Event, past: Mapping[str, AssetPrices]) -> Outcome:
    """Take a portfolio through an event, with today's weights bought at its start and then kept."""
    if event.end > subject.as_of:
        return unknown(event.name, "the event was not over then")
    factor = _held(past.get(BTC), event, subject.as_of)
    paths = {asset: _path(subject, event, past, asset, factor) for asset in subject.assets}
    weights = subject.weights
    losses = path_losses(weights, np.column_stack([path.relatives for path in paths.values()]))
    worst = worst_of(losses)
    row = worst.worst_row if not math.isnan(worst.worst) else len(losses) - 1
    moves = {
        asset: Move(float(path.relatives[row]) - 1, path.source, path.facts)
        for asset, path in paths.items()
    }
    assets = apply_moves(subject, moves)
    recovery, why = _recovery(subject, event, paths, worst)
    reasons = missing_reasons(
        assets, "neither prices of then nor enough returns for a beta are held"
    )
    return Outcome(
        title=event.name,
        assets=assets,
        loss_usd=total_loss(assets),
        recovery_days=recovery,
        figures={
            "end_loss": known(worst.end),
            "worst_day": None if reasons else _day(event, worst.worst_row),
            "replayed_share": replayed_share(assets),
            "path": None if reasons else " ".join(f"{loss:.6f}" for loss in losses),
        },
        reasons={**reasons, **({"recovery": why} if why else {})},
        notes=_notes(subject, factor is None, paths),
    )


def _day(event: Event, row: int) -> str:
    return f"{event.first + row * DAY:%Y-%m-%d}"


def _held(prices: AssetPrices | None, event: Event, as_of: datetime) -> FloatArray | None:
    """Return an asset's closes from an event's start until an instant; None unless all are held.

    Of the pairs that have every close within the event the one is taken by which the asset was
    priced at its end.
    """
    if prices is None:
        return None
    within = Window(event.end, event.days)
    whole = tuple(pair for pair in prices.pairs if not np.isnan(within.grid(pair.closes)).any())
    pair = AssetPrices(prices.asset, whole).best(event.end)
    if pair is None:
        return None
    last = Window(as_of, 0).last
    return Window(last, (last - event.start) // DAY).grid(pair.closes)


def _path(
    subject: Subject,
    event: Event,
    past: Mapping[str, AssetPrices],
    asset: str,
    factor: FloatArray | None,
) -> Path:
    rows = event.days + 1
    none = np.empty(0)
    closes = None if subject.is_money(asset) else _held(past.get(asset), event, subject.as_of)
    if closes is not None:
        relatives = closes / closes[0]
        return Path(relatives[:rows], Source.REPLAYED, relatives, {})
    if subject.is_stable(asset):
        return Path(np.ones(rows), Source.STILL, none, {})
    beta = subject.betas[asset]
    # Without BTC's own path of then its worst close is all that is known of it.
    moved = np.array([1.0, 1.0 - event.btc_loss]) if factor is None else factor[:rows]
    path = factor_path([beta.beta], moved)[:, 0]
    if factor is None:
        path = np.concatenate([path[:1], np.full(rows - 1, path[1])])
    source = Source.UNKNOWN if math.isnan(beta.beta) else Source.FACTOR
    return Path(path, source, none, beta_facts(beta))


def beta_facts(beta: BetaFit) -> dict[str, Fact]:
    """Say how rough a beta is."""
    return {
        "beta": known(beta.beta),
        "r_squared": known(beta.r_squared),
        "standard_error": known(beta.standard_error),
        "observations": beta.observations,
    }


def _recovery(
    subject: Subject, event: Event, paths: Mapping[str, Path], worst: PathLoss
) -> tuple[float | None, str]:
    """Return the days from the worst close until nothing was lost; None with the reason."""
    if math.isnan(worst.worst):
        return None, "the loss is not known"
    estimated = [asset for asset, path in paths.items() if path.source is Source.FACTOR]
    if estimated:
        return None, f"no prices of then: {', '.join(estimated)}"
    replayed = [path.after for path in paths.values() if path.source is Source.REPLAYED]
    if not replayed:
        return 0.0, ""
    rows = len(replayed[0])
    relatives = np.column_stack(
        [path.after if len(path.after) else np.ones(rows) for path in paths.values()]
    )
    losses = path_losses(subject.weights, relatives)
    waited = rows_to_recover(losses, worst.worst_row)
    if waited is not None:
        return float(waited), ""
    last = int(np.flatnonzero(~np.isnan(losses))[-1])
    return None, f"not regained by {_day(event, last)}, the last day on which all prices are held"


def _notes(subject: Subject, blind: bool, paths: Mapping[str, Path]) -> tuple[str, ...]:  # noqa: FBT001 - private
    found = []
    estimated = [asset for asset, path in paths.items() if path.source is Source.FACTOR]
    if estimated:
        how = "Student-t errors" if subject.basis.t_tailed else "least squares"
        found.append(
            f"{', '.join(estimated)}: moved by a beta to BTC ({how}), for no prices of then are"
            " held."
        )
    if estimated and blind:
        found.append("No prices of BTC of then are held: its recorded loss stands for them.")
    still = [
        asset
        for asset, path in paths.items()
        if path.source is Source.STILL and not subject.is_money(asset)
    ]
    if still:
        found.append(f"{', '.join(still)}: a stablecoin without prices of then, kept still.")
    return tuple(found)
