"""From what portfolios hold to the rows that are kept of them: arrays all the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from seawall.core.time import iso
from seawall.quant.metrics.figures import COLUMNS, COMPARED, Measured, Portfolios
from seawall.quant.types import BoolArray, FloatArray, IntArray
from seawall.risk.continuously.market import KnownMarket
from seawall.risk.continuously.store import BriefRows, Holdings
from seawall.risk.measure import FIGURE_NAMES

LEAST_VALUE, MOST_VALUE = 1e-9, 1e19
"""Totals in USD about which floats and stored amounts could disagree whether there is a value."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a chunk of portfolios holds, in order of portfolio and column.

    `places` (n,) count the portfolios from 0. Of the P portfolios, `apart` have to be replayed and
    `whole` are as they are stored; what is neither was deleted meanwhile.
    """

    places: IntArray
    columns: IntArray
    values: FloatArray
    totals: FloatArray
    apart: BoolArray
    whole: BoolArray


def weigh_all(read: Holdings, known: KnownMarket) -> Held:
    """Value what portfolios hold; the sums run over the symbols in order, as a report's do."""
    ids = np.array([each.id for each in known.assets], dtype=np.int64)
    usd = np.array([np.nan if each is None else each.usd for each in known.prices])
    column_of = np.full(max(int(ids.max(initial=0)), int(read.asset_ids.max(initial=0))) + 1, -1)
    column_of[ids] = np.arange(ids.size)
    places, columns = read.places, column_of[read.asset_ids]
    apart = read.elsewhere.copy()
    # An asset that was bought after the prices were read has no column.
    apart[places[columns < 0]] = True
    order = np.lexsort((columns, places))
    order = order[~apart[places[order]]]
    places, columns = places[order], columns[order]
    values = read.quantities[order] * usd[columns]
    # Adds one after the other, in their order.
    totals = np.bincount(places, weights=values, minlength=apart.size).astype(np.float64)
    apart |= read.there & ((totals < LEAST_VALUE) | (totals > MOST_VALUE))
    inside = ~apart[places]
    return Held(places[inside], columns[inside], values[inside], totals, apart, read.there & ~apart)


def measurable(held: Held) -> tuple[IntArray, Portfolios]:
    """Return which portfolios have a value, and their weights."""
    places = np.flatnonzero(held.whole & ~np.isnan(held.totals))
    inside = np.isin(held.places, places)
    counts = np.bincount(held.places[inside], minlength=held.apart.size)[places]
    weights = held.values[inside] / held.totals[held.places[inside]]
    starts = np.concatenate(([0], np.cumsum(counts)))
    return places, Portfolios(starts, held.columns[inside], weights)


def to_rows(
    portfolios: Sequence[tuple[UUID, UUID]],
    read: Holdings,
    held: Held,
    measured: tuple[IntArray, Measured],
    known: KnownMarket,
) -> BriefRows:
    """Put figures and the reasons for those that are undefined into rows.

    Portfolios stand with their users. Many have the same to explain, so that each explanation is
    written once.
    """
    at, found = measured
    kept = np.flatnonzero(held.whole)
    place = np.full(held.apart.size, -1)
    place[at] = np.arange(at.size)
    values = np.full((kept.size, len(COLUMNS)), np.nan)
    observations = np.zeros(kept.size, dtype=np.int64)
    has = place[kept] >= 0
    values[has] = found.values[place[kept[has]]]
    observations[has] = found.observations[place[kept[has]]]
    explained: list[object] = []
    why = np.zeros(kept.size, dtype=np.int64)
    why[has] = _explain_measured(found, _stale_since(held, at, known), known, explained)[
        place[kept[has]]
    ]
    why[~has] = _explain_unpriced(held, kept[~has], known, explained)
    return BriefRows(
        [portfolios[each] for each in kept.tolist()],
        read.ledgers.take(kept),
        values,
        observations,
        why,
        explained,
    )


def _stale_since(held: Held, at: IntArray, known: KnownMarket) -> IntArray:
    """Return for each portfolio the place, from 1, of the oldest stale price; 0 for none."""
    times = sorted({each for each in known.stale if each is not None})
    never = len(times) + 1
    rank = np.array([never if each is None else times.index(each) + 1 for each in known.stale])
    oldest = np.full(held.apart.size, never)
    np.minimum.at(oldest, held.places, rank[held.columns])
    return np.where(oldest == never, 0, oldest)[at]


def _explain_measured(
    found: Measured, stale: IntArray, known: KnownMarket, explained: list[object]
) -> IntArray:
    """Append what there is to say of the measured; return for each which, from 1 on."""
    bits = np.isnan(found.values) @ (1 << np.arange(len(COLUMNS), dtype=np.int64))
    keys = np.column_stack((bits, found.observations, found.matched, stale))
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    times = sorted({each for each in known.stale if each is not None})
    before = len(explained)
    for each in first.tolist():
        reasons = {
            "value_at_risk" if slug == "var" else slug: reason
            for slug, reason in (found.reasons(each) | known.unheld).items()
        }
        since = int(stale[each])
        notes = [f"Prices are stale, the oldest since {iso(times[since - 1])}."] if since else []
        explained.append(
            {
                "reasons": reasons,
                "missing": known.question.window - int(found.observations[each]),
                "benchmark_observations": dict(
                    zip(COMPARED, found.matched[each].tolist(), strict=True)
                ),
                "notes": notes,
            }
        )
    places: IntArray = which.reshape(-1).astype(np.int64) + before + 1
    return places


def _explain_unpriced(
    held: Held, places: IntArray, known: KnownMarket, explained: list[object]
) -> IntArray:
    """As `_explain_measured`, of portfolios that hold something without a price."""
    unpriced = np.isnan(held.values)
    lacking: dict[int, list[str]] = {each: [] for each in places.tolist()}
    for place, column in zip(
        held.places[unpriced].tolist(), held.columns[unpriced].tolist(), strict=True
    ):
        lacking[place].append(known.assets[column].symbol)
    said: dict[str, int] = {}
    for assets in lacking.values():
        reason = f"no price of {', '.join(assets)} is known"
        if reason not in said:
            explained.append(
                {
                    "reasons": dict.fromkeys(FIGURE_NAMES, reason),
                    "missing": known.question.window,
                    "benchmark_observations": {},
                    "notes": [],
                }
            )
            said[reason] = len(explained)
    return np.array(
        [said[f"no price of {', '.join(lacking[each])} is known"] for each in places.tolist()],
        dtype=np.int64,
    )
