"""What the seed for measuring holds of the market: five years of prices, quotes, predictions."""

from collections.abc import Sequence
from datetime import datetime
from itertools import product

import numpy as np
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import to_micros
from seawall.db import bulk
from seawall.db.bulk import Column, Records, instant
from seawall.db.series import QUOTES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.learning.schemas import Direction, PredictionTimeframe, PredictionType
from seawall.learning.tables import ModelVersion
from seawall.market.store import SymbolRecord
from seawall.ops.seeds import market
from seawall.ops.seeds.market import INGESTED, Advance
from seawall.ops.seeds.paths import DAY_STEPS, WEEK_STEPS, Coin, Paths, walk
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray

SEED = 20_260_375
DAYS = 5 * 365
QUOTE_DAYS = 7
PREDICTION_WEEKS = 40

_SYMBOLS = (
    "BTC ETH BNB SOL XRP ADA DOGE AVAX LINK LTC DOT ATOM UNI NEAR AAVE FIL ALGO TRX BCH XLM ETC APT"
    " ARB OP SUI TON ICP HBAR VET EOS XTZ MKR COMP SNX CRV SAND MANA AXS EGLD THETA ZEC DASH NEO"
    " IOTA INJ SEI TIA RUNE GRT LDO"
).split()
COINS = tuple(
    Coin(
        symbol,
        symbol,
        price=round(40_000 / place**2.5 + 1, 4),
        volatility=0.45 + 0.01 * place,
        supply=1e7 * place**1.5,
        turnover=round(2e10 / place**1.5),
    )
    for place, symbol in enumerate(_SYMBOLS, 1)
)
_MINUTE = np.timedelta64(1, "m")
_QUOTE_COLUMNS = (
    Column("symbol_id", "<i4"),
    Column("time", "<M8[us]"),
    *(
        Column(name, "<f8")
        for name in ("bid_price", "bid_size", "ask_price", "ask_size", "last_price", "last_size")
    ),
)
_NOT_YET = float("nan")
_PREDICTION_COLUMNS = (
    Column("asset_id", "<i4"),
    Column("prediction_date", "<M8[us]"),
    Column("target_date", "<M8[us]"),
    Column("predicted_value", "<f8"),
    Column("confidence_score", "<f8"),
    Column("actual_value", "<f8", _NOT_YET),
    Column("accuracy_score", "<f8", _NOT_YET),
)


def make_paths(until: datetime, days: int = DAYS) -> Paths:
    """Make up the coins' prices for so many days, and for the week before."""
    return walk(COINS, days + WEEK_STEPS // DAY_STEPS, until, SEED)


async def add_market(session: AsyncSession, paths: Paths, advance: Advance) -> None:
    """Store the coins with prices, daily candles, quotes of the last days, and predictions."""
    pairs = await market.add_coins(session, paths)
    asset_ids = [pair.base.id for pair in pairs]
    for done, coin in enumerate(paths.coins):
        advance("Storing candles", done, len(pairs))
        await market.add_candles(session, coin.symbol, market.DAILY, paths.day_candles(done))
    await market.add_prices(session, paths, asset_ids, WEEK_STEPS, advance)
    await _add_quotes(session, paths, [pair.id for pair in pairs], advance)
    await _add_predictions(session, paths, asset_ids)


async def _add_quotes(
    session: AsyncSession, paths: Paths, symbol_ids: Sequence[int], advance: Advance
) -> None:
    """Store a quote a minute of each pair."""
    times = paths.times
    await ensure_chunks(session, QUOTES, instant(times[-QUOTE_DAYS * DAY_STEPS]), paths.until)
    connection = await raw_connection(session)
    constants = {INGESTED: np.datetime64(to_micros(paths.until), "us")}
    for day in range(QUOTE_DAYS):
        advance("Storing quotes", day, QUOTE_DAYS)
        end = len(times) - (QUOTE_DAYS - 1 - day) * DAY_STEPS
        records = _quotes(paths, symbol_ids, end - DAY_STEPS - 1, end)
        await bulk.write(connection, "quotes", records, _QUOTE_COLUMNS, constants)


def _quotes(paths: Paths, symbol_ids: Sequence[int], start: int, stop: int) -> Records:
    """Lay out the quotes of the minutes after one step until another."""
    random = np.random.default_rng([SEED, start])
    known = paths.times[start:stop]
    minutes = np.arange(known[0] + _MINUTE, known[-1] + _MINUTE, _MINUTE)
    records = np.empty((len(minutes), len(symbol_ids)), bulk.record_dtype(_QUOTE_COLUMNS))
    at, steps = minutes.astype(np.int64), known.astype(np.int64)
    middle = np.stack([np.interp(at, steps, prices) for prices in paths.prices[start:stop].T], -1)
    records["symbol_id"] = symbol_ids
    records["time"] = minutes[:, None]
    for side, shift in (("bid", -1e-4), ("ask", 1e-4), ("last", 0)):
        records[f"{side}_price"] = np.round(middle * (1 + shift), 6)
        records[f"{side}_size"] = np.round(random.exponential(2_000, middle.shape) / middle, 6)
    return records.reshape(-1)


async def _add_predictions(
    session: AsyncSession, paths: Paths, asset_ids: Sequence[int]
) -> None:
    """Store a naive prediction of each coin, kind and horizon a week, scored as far as it can be.

    That nothing changes: the price stays, the return is 0, and the volatility is as it was.
    """
    version = insert(ModelVersion).values(
        model_name="naive",
        version="1",
        status="deployed",
        deployed_at=instant(paths.times[WEEK_STEPS]),
    )
    version_id = await session.scalar(version.returning(ModelVersion.id))
    connection = await raw_connection(session)
    for kind, timeframe in product(PredictionType, PredictionTimeframe):
        records = _predictions(paths, asset_ids, kind, int(timeframe.removesuffix("d")))
        constants: dict[Column, object] = {
            Column("prediction_type", f"S{len(kind)}"): kind.encode(),
            Column("timeframe", f"S{len(timeframe)}"): timeframe.encode(),
            Column("model_version_id", "<i4"): version_id,
        }
        if kind is PredictionType.TREND:
            neutral = Direction.NEUTRAL.encode()
            constants[Column("direction", f"S{len(neutral)}")] = neutral
        await bulk.write(connection, "predictions", records, _PREDICTION_COLUMNS, constants)


def _predictions(
    paths: Paths, asset_ids: Sequence[int], kind: PredictionType, days: int
) -> Records:
    """Lay out the predictions of one kind over so many days, the oldest first."""
    last, horizon = len(paths.prices) - 1, days * DAY_STEPS
    made = last - np.arange(PREDICTION_WEEKS - 1, -1, -1) * WEEK_STEPS
    predicted, actual = _outcomes(paths, kind, made, horizon)
    actual[made + horizon > last] = _NOT_YET
    records = np.empty(predicted.shape, bulk.record_dtype(_PREDICTION_COLUMNS))
    records["asset_id"] = asset_ids
    records["prediction_date"] = paths.times[made][:, None]
    records["target_date"] = (paths.times[made] + np.timedelta64(days, "D"))[:, None]
    records["predicted_value"] = predicted
    records["confidence_score"] = 50.0
    records["actual_value"] = actual
    scale = 1 if kind is PredictionType.TREND else actual
    records["accuracy_score"] = np.clip(100 * (1 - np.abs(predicted - actual) / scale), 0, 100)
    return records.reshape(-1)


def _outcomes(
    paths: Paths, kind: PredictionType, made: IntArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Return what is predicted at some steps and what came of it, where that is known yet.

    Shapes: (m,) steps in, (m, k) values of k coins out.
    """
    now, later = paths.prices[made], paths.prices[np.minimum(made + horizon, len(paths.prices) - 1)]
    if kind is PredictionType.PRICE:
        return now, later
    if kind is PredictionType.TREND:
        return np.zeros_like(now), later / now - 1
    return _volatility(paths, made - horizon, made), _volatility(
        paths, made, np.minimum(made + horizon, len(paths.prices) - 1)
    )


def _volatility(paths: Paths, start: IntArray, stop: IntArray) -> FloatArray:
    """Return the annual volatility of the returns between steps, NaN where none lies between."""
    moves = np.diff(np.log(paths.prices[start[0] :]), axis=0, prepend=np.nan)
    squares = np.nancumsum(moves**2, axis=0)
    between = np.maximum(stop - start, 1)[:, None] / (PERIODS_PER_YEAR * DAY_STEPS)
    return np.sqrt((squares[stop - start[0]] - squares[start - start[0]]) / between)
