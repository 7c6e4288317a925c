"""Measuring assets: what is due at which midnights, its figures, and the same figures again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError, name_some
from seawall.core.time import DAY, to_micros
from seawall.db.bulk import Records
from seawall.db.locks import clock, lock_prices
from seawall.market import catalog, prices
from seawall.market import store as market_store
from seawall.market.catalog import INDEX
from seawall.market.pairs import SP500
from seawall.market.prices import AssetPrices, PairPrices, read_prices
from seawall.market.store import AssetRecord
from seawall.quant.metrics import ratios, returns
from seawall.quant.metrics.figures import COLUMNS, Measured
from seawall.quant.metrics.measure import measure
from seawall.quant.returns import Benchmark, common_returns, match_benchmark, simple_returns
from seawall.quant.types import BoolArray, FloatArray, IntArray
from seawall.quant.windows import measure_windows
from seawall.risk.assets import store
from seawall.risk.benchmarks import BTC, read_index
from seawall.risk.exposure import Window
from seawall.risk.schemas import ASSET_FIGURES, ASSET_WINDOWS, AssetFigures

LONGEST = max(ASSET_WINDOWS)
HISTORY = 3650
"""How many midnights are measured at most, from the newest back."""
AT_ONCE = 512
"""How many of them in one transaction, so that what was interrupted goes on from there."""
_ONE = np.ones(1)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Kept figures beside the same ones computed again, and those in which they differ."""

    kept: AssetFigures
    again: AssetFigures
    differs: tuple[str, ...]


async def measure_due(session: AsyncSession, symbol: str) -> int:
    """Measure an asset at midnights that lack figures, or whose prices were revised since.

    The newest come first, `AT_ONCE` of them; returns how many are left. What it is compared with
    counts as its prices do. An asset without candles in USD has nothing to measure.
    """
    asset = (await market_store.find_assets(session, [symbol])).get(symbol)
    span = None if asset is None else await prices.find_span(session, asset)
    if asset is None or span is None:
        return 0
    await lock_prices(session, {symbol, BTC, SP500}, shared=True)
    known_at = await clock(session)
    # A close after the last midnight is of a day that has not ended.
    end = min(Window(span[1], 0).last, Window(known_at, 0).last)
    days = min((end - span[0]) // DAY, HISTORY)
    if days < 0:
        return 0
    due = await _find_due(session, asset, Window(end, days))
    chosen = [end - int(back) * DAY for back in due[:AT_ONCE]]
    if chosen:
        sources = await _Sources.read(session, asset, chosen, LONGEST, known_at)
        found = sources.measure_all(chosen)
        bitcoin = await catalog.ensure_asset(session, BTC)
        if not len(found):
            return 0
        await store.put_asset_figures(session, found, (asset.id, bitcoin.id), known_at)
    return max(len(due) - AT_ONCE, 0)


async def list_figures(
    session: AsyncSession, symbols: Collection[str], window: int, as_of: datetime | None
) -> list[AssetFigures]:
    """Return the newest figures kept of assets by an instant; no symbols are all.

    Raises:
        InvalidError: nothing is measured over such a window.
        NotFoundError: nothing is kept of one of the symbols, or of any asset.
    """
    if window not in ASSET_WINDOWS:
        known = ", ".join(map(str, ASSET_WINDOWS))
        raise InvalidError(
            f"Assets are not measured over {window} days.", hint=f"Choose of {known}."
        )
    found = await store.list_asset_figures(session, symbols, window, as_of)
    lacking = sorted(set(symbols) - {each.asset for each in found})
    if lacking or not found:
        raise NotFoundError(
            f"Nothing was measured of {name_some(lacking)} yet."
            if lacking
            else "No asset was measured yet.",
            hint="Import prices, then let a worker measure.",
        )
    return found


async def recompute(session: AsyncSession, kept: AssetFigures) -> Recomputed:
    """Compute kept figures again from what was known when they were measured.

    Raises:
        NotFoundError: the asset's prices of then are no longer held.
    """
    asset = (await market_store.find_assets(session, [kept.asset]))[kept.asset]
    sources = await _Sources.read(session, asset, [kept.time], kept.window, kept.known_at)
    again = sources.measure(kept.time, kept.window)
    if again is None:
        raise NotFoundError(
            f"No prices of {kept.asset} by {kept.time:%Y-%m-%d} are held any more.",
            hint="Bring them back from the archive: seawall db archive restore.",
        )
    differs = tuple(name for name in ASSET_FIGURES if kept.figures[name] != again.figures[name])
    if kept.observations != again.observations:
        differs += ("observations",)
    return Recomputed(kept, again, differs)


async def _find_due(session: AsyncSession, asset: AssetRecord, span: Window) -> IntArray:
    """Return how many days before the span's end each due midnight is, the newest first."""
    # A close before the span may be revised too, and be in a window within it.
    read = Window(span.end, span.days + LONGEST)
    stamps = np.zeros(read.days + 1, np.int64)
    compared = await market_store.find_assets(session, {BTC, SP500})
    for each in {asset, *compared.values()}:
        for records in await prices.read_stamps(session, each, read.midnights):
            _raise_to(stamps, read, records)
    measured = await store.list_measured(session, asset.id, span.midnights)
    due: BoolArray = np.zeros(span.days + 1, np.bool_)
    for window in ASSET_WINDOWS:
        newest = np.lib.stride_tricks.sliding_window_view(stamps, window + 1).max(axis=1)
        known = np.full(span.days + 1, -1, np.int64)
        rows = measured[measured["window_days"] == window]
        known[_days_after(span.first, rows["time"])] = rows["ingested_at"].astype(np.int64)
        due |= known < newest[-(span.days + 1) :]
    return np.flatnonzero(due[::-1]).astype(np.int64)


def _raise_to(stamps: NDArray[np.int64], window: Window, records: Records) -> None:
    at = _days_after(window.first, records["known"])
    is_midnight = records["known"].astype(np.int64) % (DAY.days * 86_400_000_000) == 0
    np.maximum.at(stamps, at[is_midnight], records["ingested_at"][is_midnight].astype(np.int64))


def _days_after(first: datetime, times: NDArray[np.datetime64]) -> NDArray[np.intp]:
    day = np.timedelta64(1, "D")
    found: NDArray[np.intp] = ((times - np.datetime64(to_micros(first), "us")) // day).astype(
        np.intp
    )
    return found


@dataclass(frozen=True, slots=True)
class _Sources:
    """The prices of an asset, and of what it is compared with, around some midnights."""

    asset: str
    window: Window
    known_at: datetime
    priced: dict[str, AssetPrices]
    indices: dict[str, FloatArray] = field(default_factory=dict)

    @classmethod
    async def read(
        cls,
        session: AsyncSession,
        asset: AssetRecord,
        midnights: Sequence[datetime],
        longest: int,
        known_at: datetime,
    ) -> "_Sources":
        first, last = min(midnights), max(midnights)
        window = Window(last, (last - first).days + longest)
        assets = {asset, *(await market_store.find_assets(session, {BTC, SP500})).values()}
        traded = [each for each in assets if each.kind != INDEX]
        priced = await read_prices(session, traded, midnights, window.midnights, known_at)
        indices = {}
        for each in assets:
            if each.kind == INDEX:
                grid = await read_index(session, each, window, known_at)
                if grid is not None:
                    indices[each.symbol] = grid
        return cls(asset.symbol, window, known_at, priced, indices)

    def measure(self, midnight: datetime, window: int) -> AssetFigures | None:
        """Measure a window that ends at a midnight; None when no price was known by then."""
        asked = Window(midnight, window)
        closes = self._closes(self.asset, asked)
        if closes is None:
            return None
        history = common_returns(closes[:, np.newaxis])
        compared = {name: self._match(name, asked, history.rows) for name in (BTC, SP500)}
        measured = measure(
            _ONE,
            history.returns,
            benchmark=compared[BTC],
            btc=compared[BTC],
            sp500=compared[SP500],
        )
        alone = history.returns[:, 0]
        values = {
            **measured.values,
            "downside_deviation": returns.downside_deviation(alone),
            "calmar_ratio": ratios.calmar_ratio(alone),
        }
        return AssetFigures(
            asset=self.asset,
            time=midnight,
            window=window,
            benchmark=BTC,
            observations=measured.observations,
            figures={name: _finite(values[name]) for name in ASSET_FIGURES},
            known_at=self.known_at,
        )

    def measure_all(self, midnights: Sequence[datetime]) -> Records:
        """Measure every window at midnights, as `measure` does each; return rows of `store.ROWS`.

        A midnight by which no price was known is left out.
        """
        rows = np.arange(1, self.window.days + 1)
        found = [np.empty(0, store.ROWS_DTYPE)]
        for grids, alike in self._by_sources(midnights):
            own, *compared = grids
            if own is None:
                continue
            bitcoin, sp500 = (
                None if each is None else match_benchmark(rows, each) for each in compared
            )
            returns = simple_returns(own)
            ends = np.array([(each - self.window.first) // DAY for each in alike])
            for window in ASSET_WINDOWS:
                measured = measure_windows(returns, (bitcoin, bitcoin, sp500), ends, window)
                found.append(_to_rows(measured, alike, window))
        return np.concatenate(found)

    def _by_sources(
        self, midnights: Sequence[datetime]
    ) -> list[tuple[list[FloatArray | None], list[datetime]]]:
        """Group midnights by the pairs that prices are taken from then, with all their closes."""
        names = (self.asset, BTC, SP500)
        chosen: dict[tuple[int, ...], list[datetime]] = {}
        pairs: dict[int, PairPrices] = {}
        for midnight in midnights:
            key = []
            for name in names:
                pair = self._pair(name, midnight)
                key.append(0 if pair is None else pair.symbol.id)
                if pair is not None:
                    pairs[pair.symbol.id] = pair
            chosen.setdefault(tuple(key), []).append(midnight)
        grids = {each: self.window.grid(pair.closes) for each, pair in pairs.items()}
        return [
            ([grids.get(k, self.indices.get(name)) for name, k in zip(names, key, strict=True)], at)
            for key, at in chosen.items()
        ]

    def _pair(self, name: str, midnight: datetime) -> PairPrices | None:
        return self.priced[name].best(midnight) if name in self.priced else None

    def _match(self, name: str, asked: Window, rows: IntArray) -> Benchmark | None:
        closes = self._closes(name, asked)
        return None if closes is None else match_benchmark(rows, closes)

    def _closes(self, name: str, asked: Window) -> FloatArray | None:
        if name in self.indices:
            start = (asked.first - self.window.first).days
            return self.indices[name][start : start + asked.days + 1]
        pair = self._pair(name, asked.end)
        return None if pair is None else asked.grid(pair.closes)


def _to_rows(measured: Measured, midnights: Sequence[datetime], window: int) -> Records:
    rows = np.empty(len(midnights), store.ROWS_DTYPE)
    rows["time"] = np.array([to_micros(each) for each in midnights], "<M8[us]")
    rows["window_days"] = window
    rows["observations"] = measured.observations
    for name in ASSET_FIGURES:
        values = measured.values[:, COLUMNS.index(name)]
        rows[name] = np.where(np.isfinite(values), values, np.nan)
    return rows


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
