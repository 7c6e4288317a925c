"""The predictions of a seed: what a naive model said of its coins, and what came of it."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import bulk
from seawall.db.bulk import Column, Records, instant
from seawall.db.session import raw_connection
from seawall.learning.schemas import Direction, PredictionTimeframe, PredictionType
from seawall.learning.tables import ModelVersion
from seawall.ops.seeds.paths import DAY_STEPS, WEEK_STEPS, Paths
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray

WEEKS = 40
_NOT_YET = float("nan")
_COLUMNS = (
    Column("asset_id", "<i4"),
    Column("prediction_date", "<M8[us]"),
    Column("target_date", "<M8[us]"),
    Column("predicted_value", "<f8"),
    Column("confidence_score", "<f8"),
    Column("actual_value", "<f8", _NOT_YET),
    Column("accuracy_score", "<f8", _NOT_YET),
)


async def add_predictions(session: AsyncSession, paths: Paths, asset_ids: Sequence[int]) -> None:
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
        await bulk.write(connection, "predictions", records, _COLUMNS, constants)


def _predictions(
    paths: Paths, asset_ids: Sequence[int], kind: PredictionType, days: int
) -> Records:
    """Lay out the predictions of one kind over so many days, the oldest first."""
    last, horizon = len(paths.prices) - 1, days * DAY_STEPS
    # The longest look back is as far as the longest look ahead, a month before the first.
    weeks = min(WEEKS, (last - 30 * DAY_STEPS) // WEEK_STEPS)
    made = last - np.arange(weeks - 1, -1, -1) * WEEK_STEPS
    predicted, actual = _outcomes(paths, kind, made, horizon)
    actual[made + horizon > last] = _NOT_YET
    records = np.empty(predicted.shape, bulk.record_dtype(_COLUMNS))
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
    found: FloatArray = np.sqrt((squares[stop - start[0]] - squares[start - start[0]]) / between)
    return found
