"""Any sequence of merges ends where the same steps on a dictionary end."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.merge import KeyedSeries, merge
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.schemas import CANDLE_DTYPE, TRADE_DTYPE

START = datetime(2023, 12, 31, 23, 59, tzinfo=UTC)
STAMP = datetime(2024, 6, 1, tzinfo=UTC)
SUBJECTS = count(1)
Row = tuple[Any, ...]

# In the merged array an absent number is NaN and an absent count -1; here both are None.
volumes = st.sampled_from([None, 0.0, 1.5, 1e308, 5e-324])
candle_values = st.tuples(
    st.just(2.0), st.just(3.0), st.just(1.0), st.sampled_from([1.0, 2.0, 3.0]),
    volumes, volumes, st.sampled_from([None, 0, 2**63 - 1]),
)  # fmt: skip
candle_batches = st.lists(
    st.dictionaries(st.tuples(st.integers(0, 8)), candle_values, min_size=1), max_size=5
)
trade_values = st.tuples(st.sampled_from([None, -1, 1]), st.sampled_from([1.0, 2.0]), st.just(1.0))
trade_keys = st.tuples(st.integers(0, 3), st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1]))
trade_batches = st.lists(st.dictionaries(trade_keys, trade_values, min_size=1), max_size=5)
ABSENT = {"volume": np.nan, "quote_volume": np.nan, "trade_count": -1, "side": 0}

with_database = settings(
    max_examples=25,
    deadline=None,
    # Each example has a subject of its own in the one database.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _records(batch: dict[Row, Row], dtype: np.dtype[Any]) -> Any:
    rows = []
    for (minute, *rest), values in sorted(batch.items()):
        time = START.replace(tzinfo=None) + timedelta(minutes=minute)
        row = (time, *rest, *values)
        pairs = zip(dtype.names or (), row, strict=True)
        rows.append(tuple(ABSENT[name] if value is None else value for name, value in pairs))
    return np.array(rows, dtype)


async def _check(
    engine: AsyncEngine, table: KeyedSeries, dtype: np.dtype[Any], batches: list[dict[Row, Row]]
) -> None:
    subject = {column.name: next(SUBJECTS) for column in table.subject}
    held: dict[Row, tuple[Row, datetime]] = {}
    superseded: list[Row] = []
    async with transaction(engine, OWNER_ID) as session:
        for number, batch in enumerate(batches):
            stamp = STAMP + timedelta(seconds=number)
            new = {key for key in batch if key not in held}
            changed = {key for key in batch.keys() - new if held[key][0] != batch[key]}
            merged = await merge(session, table, subject, _records(batch, dtype), stamp)
            assert merged.inserted == len(new)
            assert merged.updated == len(changed)
            assert merged.unchanged == len(batch) - len(new) - len(changed)
            superseded += [(*key, *held[key][0], held[key][1], stamp) for key in changed]
            held |= {key: (batch[key], stamp) for key in new | changed}
        columns = ", ".join(column.name for column in table.columns)
        where = " AND ".join(f"{name} = {value}" for name, value in subject.items())

        async def stored(name: str, extra: str) -> list[Row]:
            query = f"SELECT {columns}, {extra} FROM {name} WHERE {where}"  # noqa: S608
            found = await session.execute(text(query))
            return [((row[0] - START) // timedelta(minutes=1), *row[1:]) for row in found]

        expected = [(*key, *values, stamp) for key, (values, stamp) in held.items()]
        assert _sorted(await stored(table.series.table, "ingested_at")) == _sorted(expected)
        if table.revisions is not None:
            kept = await stored(table.revisions.table, "ingested_at, superseded_at")
            assert _sorted(kept) == _sorted(superseded)


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(str(value) for value in row))


@with_database
@given(candle_batches)
async def test_candles_end_as_a_dictionary_would(
    engine: AsyncEngine, batches: list[dict[Row, Row]]
) -> None:
    await _check(engine, store.CANDLES, CANDLE_DTYPE, batches)


@with_database
@given(trade_batches)
async def test_trades_end_as_a_dictionary_would(
    engine: AsyncEngine, batches: list[dict[Row, Row]]
) -> None:
    await _check(engine, store.TRADES, TRADE_DTYPE, batches)
