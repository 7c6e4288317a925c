"""What the tables of models refuse, and what their trigger and view do."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.core.time import now
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.series import MARKET_REGIMES, MODEL_PERFORMANCE, ensure_chunks
from seawall.learning.schemas import Direction, PredictionTimeframe, PredictionType
from seawall.learning.store import find_prediction
from seawall.learning.tables import (
    Adaptation,
    Experience,
    MarketRegime,
    ModelPerformance,
    ModelVersion,
    Prediction,
)
from seawall.market import catalog

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
NAN, INFINITY = float("nan"), float("inf")
VALID: dict[type[Base], dict[str, Any]] = {
    ModelVersion: {"model_name": "lstm", "version": "1.2.0"},
    Prediction: {
        "prediction_type": "price",
        "timeframe": "7d",
        "prediction_date": NOON,
        "target_date": NOON + WEEK,
        "predicted_value": 70_000.0,
        "confidence_score": 62.5,
        "direction": "bullish",
    },
    ModelPerformance: {
        "symbol_id": 1,
        "time": NOON,
        "prediction": 1.5,
        "actual": 1.0,
        "confidence": 0.8,
        "latency_ms": 0.4,
        "ingested_at": NOON,
    },
    MarketRegime: {
        "symbol_id": 1,
        "time": NOON,
        "regime_type": "ranging",
        "confidence": 0.7,
        "ingested_at": NOON,
    },
    Adaptation: {
        "trigger_event": "drift",
        "adaptation_type": "retraining",
        "performance_before": {"mae": 2.0},
        "performance_after": {"mae": 1.0},
        "success": True,
    },
    Experience: {
        "time": NOON,
        "tier": 1,
        "state": {"price": 1},
        "action": {"side": "buy"},
        "reward": -0.5,
        "next_state": {"price": 2},
    },
}


@pytest.fixture(scope="module")
def known(fill_module: FillModule) -> dict[str, int]:
    """An asset and a model version that rows are about, with chunks for rows since noon."""
    made: dict[str, int] = {}

    async def fill(session: AsyncSession) -> None:
        for series in (MODEL_PERFORMANCE, MARKET_REGIMES):
            await ensure_chunks(session, series, NOON, now())
        asset = await catalog.ensure_asset(session, "BTC")
        made["asset_id"] = asset.id
        made["model_version_id"] = await _add(session, ModelVersion, {}, version="0")

    fill_module(fill)
    return made


@pytest.fixture
def session(known: dict[str, int], undone_session: AsyncSession) -> AsyncSession:
    """One transaction on the module's database, undone at the end."""
    assert known
    return undone_session


async def _add(
    session: AsyncSession, table: type[Base], known: Mapping[str, int], **changes: object
) -> Any:
    columns = table.__table__.c
    about = {name: value for name, value in known.items() if name in columns}
    statement = insert(table).values(VALID[table] | about | changes)
    if "id" not in columns:
        return await session.execute(statement)
    return await session.scalar(statement.returning(columns.id))


async def _refused(
    session: AsyncSession, table: type[Base], known: Mapping[str, int], **changes: object
) -> str:
    with pytest.raises(IntegrityError) as caught:
        async with session.begin_nested():
            await _add(session, table, known, **changes)
    return str(caught.value)


@pytest.mark.parametrize("table", VALID)
async def test_a_valid_row_is_taken(
    session: AsyncSession, known: dict[str, int], table: type[Base]
) -> None:
    await _add(session, table, known)
    found = await session.scalars(text(f"SELECT count(*) FROM {table.__tablename__}"))  # noqa: S608
    assert found.one() == (2 if table is ModelVersion else 1)


@pytest.mark.parametrize(
    ("table", "changes", "constraint"),
    [
        (ModelVersion, {"version": ""}, "names"),
        (ModelVersion, {"version": "0"}, "version"),
        (ModelVersion, {"status": "ready"}, "status"),
        (ModelVersion, {"status": "deployed"}, "deployed"),
        (ModelVersion, {"status": "validating", "deployed_at": NOON}, "deployed"),
        (ModelVersion, {"model_path": "m.bin"}, "artefact"),
        (ModelVersion, {"artefact_sha256": bytes(32)}, "artefact"),
        (ModelVersion, {"model_path": "m.bin", "artefact_sha256": bytes(31)}, "artefact"),
        (ModelVersion, {"trained_from": NOON}, "trained"),
        (ModelVersion, {"trained_from": NOON, "trained_until": NOON}, "trained"),
        (ModelVersion, {"hyperparameters": [1]}, "objects"),
        (ModelVersion, {"performance_metrics": 1}, "objects"),
        (Prediction, {"asset_id": 0}, "assets"),
        (Prediction, {"model_version_id": 0}, "model_versions"),
        (Prediction, {"prediction_type": "weather"}, "prediction_type"),
        (Prediction, {"timeframe": "1d", "target_date": NOON + timedelta(days=1)}, "timeframe"),
        (Prediction, {"timeframe": "14d"}, "target_date"),
        (Prediction, {"target_date": NOON + WEEK + timedelta(microseconds=1)}, "target_date"),
        (Prediction, {"confidence_score": 100.1}, "confidence"),
        (Prediction, {"confidence_score": -0.1}, "confidence"),
        (Prediction, {"confidence_score": NAN}, "confidence"),
        (Prediction, {"direction": "up"}, "direction"),
        (Prediction, {"predicted_value": None}, "says_something"),
        (Prediction, {"prediction_type": "volatility", "predicted_value": None}, "says_something"),
        (Prediction, {"prediction_type": "trend", "direction": None}, "says_something"),
        (Prediction, {"predicted_value": -1.0}, "values"),
        (Prediction, {"predicted_value": NAN}, "values"),
        (Prediction, {"prediction_type": "trend", "predicted_value": -1.1}, "values"),
        (Prediction, {"actual_value": INFINITY, "accuracy_score": 1.0}, "values"),
        (Prediction, {"actual_value": 1.0}, "scored"),
        (Prediction, {"accuracy_score": 1.0}, "scored"),
        (Prediction, {"actual_value": 1.0, "accuracy_score": 101.0}, "accuracy"),
        (Prediction, {"factors": ["rsi"]}, "factors"),
        (ModelPerformance, {"prediction": NAN}, "values"),
        (ModelPerformance, {"actual": -INFINITY}, "values"),
        (ModelPerformance, {"confidence": 1.1}, "confidence"),
        (ModelPerformance, {"confidence": NAN}, "confidence"),
        (ModelPerformance, {"latency_ms": -1.0}, "latency"),
        (ModelPerformance, {"latency_ms": INFINITY}, "latency"),
        (MarketRegime, {"regime_type": "calm"}, "regime_type"),
        (MarketRegime, {"confidence": -0.1}, "confidence"),
        (MarketRegime, {"features": []}, "features"),
        (MarketRegime, {"duration_minutes": -1}, "duration"),
        (Adaptation, {"model_version_id": 0}, "model_versions"),
        (Adaptation, {"trigger_event": "whim"}, "trigger_event"),
        (Adaptation, {"adaptation_type": "prayer"}, "adaptation_type"),
        (Adaptation, {"performance_after": None}, "measured"),
        (Adaptation, {"performance_before": []}, "objects"),
        (Experience, {"tier": 0}, "tier"),
        (Experience, {"tier": 7}, "tier"),
        (Experience, {"reward": NAN}, "reward"),
        (Experience, {"priority": -0.1}, "priority"),
        (Experience, {"priority": INFINITY}, "priority"),
    ],
)
async def test_a_row_that_makes_no_sense_is_refused(
    session: AsyncSession,
    known: dict[str, int],
    table: type[Base],
    changes: dict[str, Any],
    constraint: str,
) -> None:
    said = await _refused(session, table, known, **changes)
    assert f"_{table.__tablename__}_{constraint}" in said


async def test_one_version_of_a_model_is_deployed(session: AsyncSession) -> None:
    first = await _add(session, ModelVersion, {}, status="deployed", deployed_at=NOON)
    await _add(session, ModelVersion, {}, status="deployed", deployed_at=NOON, model_name="naive")
    second = {"version": "2", "status": "deployed", "deployed_at": NOON}
    assert "uq_model_versions_deployed" in await _refused(session, ModelVersion, {}, **second)
    await session.execute(
        update(ModelVersion).where(ModelVersion.id == first).values(status="retired")
    )
    await _add(session, ModelVersion, {}, **second)


async def test_a_prediction_is_unique_for_its_version(
    session: AsyncSession, known: dict[str, int]
) -> None:
    await _add(session, Prediction, known)
    assert "uq_predictions_prediction" in await _refused(session, Prediction, known)
    other = await _add(session, ModelVersion, {}, model_name="naive")
    await _add(session, Prediction, known, model_version_id=other)


async def test_a_week_is_168_hours_wherever_the_writer_is(
    session: AsyncSession, known: dict[str, int]
) -> None:
    await session.execute(text("SET LOCAL timezone = 'America/New_York'"))
    before_summer_time = datetime(2024, 3, 8, tzinfo=UTC)
    week = {"prediction_date": before_summer_time, "target_date": before_summer_time + WEEK}
    await _add(session, Prediction, known, **week)
    week["target_date"] -= timedelta(hours=1)
    assert "target_date" in await _refused(session, Prediction, known, **week)


async def _change(session: AsyncSession, prediction: object, **values: object) -> None:
    async with session.begin_nested():
        await session.execute(
            update(Prediction).where(Prediction.id == prediction).values(**values)
        )


async def test_an_outcome_is_filled_once(session: AsyncSession, known: dict[str, int]) -> None:
    made = await _add(session, Prediction, known)
    with pytest.raises(IntegrityError, match="scored"):
        await _change(session, made, actual_value=69_000.0)
    await _change(session, made, actual_value=69_000.0, accuracy_score=98.5)
    for again in ({"actual_value": 1.0}, {"actual_value": None, "accuracy_score": None}):
        with pytest.raises(IntegrityError, match="scored already"):
            await _change(session, made, **again)


async def test_no_outcome_before_its_time(session: AsyncSession, known: dict[str, int]) -> None:
    outcome = {"actual_value": 1.0, "accuracy_score": 1.0}
    target = now() + timedelta(minutes=1)
    dates = {"prediction_date": target - WEEK, "target_date": target}
    made = await _add(session, Prediction, known, **dates)
    with pytest.raises(IntegrityError, match="not come yet"):
        await _change(session, made, **outcome)
    said = await _refused(
        session, Prediction, known, **dates, **outcome, prediction_type="volatility"
    )
    assert "not come yet" in said
    await _add(session, Prediction, known, **outcome)


@pytest.mark.parametrize(
    "change",
    [
        {"predicted_value": 1.0},
        {"confidence_score": None},
        {"factors": {"rsi": 1}},
        {"created_at": NOON},
        {"prediction_date": NOON - WEEK, "target_date": NOON},
        {"predicted_value": 1.0, "actual_value": 1.0, "accuracy_score": 100.0},
    ],
)
async def test_the_application_cannot_change_a_prediction(
    session: AsyncSession, known: dict[str, int], change: dict[str, Any]
) -> None:
    made = await _add(session, Prediction, known)
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        await _change(session, made, **change)


async def test_nor_can_the_owner(location: Location) -> None:
    owner = create_engine(location.admin_url, role=OWNER_ROLE, pooled=False)
    async with AsyncSession(owner) as session, session.begin():
        asset = await catalog.ensure_asset(session, "BTC")
        version = await _add(session, ModelVersion, {})
        about = {"asset_id": asset.id, "model_version_id": version}
        made = await _add(session, Prediction, about)
        for change in ({"predicted_value": 1.0}, {"actual_value": 1.0, "direction": "neutral"}):
            with pytest.raises(IntegrityError, match="cannot be changed"):
                await _change(session, made, **change)
    await owner.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_versions SET version = '9'",
        "UPDATE model_versions SET hyperparameters = '{}'",
        "UPDATE model_performance SET actual = 1",
        "UPDATE market_regimes SET regime_type = 'crisis'",
        "UPDATE adaptation_history SET success = true",
        "UPDATE experience_replay SET reward = 1",
        "DELETE FROM predictions",
        "DELETE FROM adaptation_history",
    ],
)
async def test_what_was_observed_stays_so(session: AsyncSession, statement: str) -> None:
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        async with session.begin_nested():
            await session.execute(text(statement))


async def test_memory_is_promoted_and_forgotten(
    session: AsyncSession, known: dict[str, int]
) -> None:
    kept, gone = [await _add(session, Experience, known, priority=each) for each in (2.0, 0.0)]
    await session.execute(text("UPDATE experience_replay SET tier = 2, priority = priority / 2"))
    await session.execute(text("DELETE FROM experience_replay WHERE id = :id"), {"id": gone})
    rows = await session.execute(text("SELECT id, tier, priority FROM experience_replay"))
    assert [tuple(row) for row in rows] == [(kept, 2, 1.0)]


async def test_a_regime_is_given_its_duration_when_it_ends(
    session: AsyncSession, known: dict[str, int]
) -> None:
    await _add(session, MarketRegime, known)
    await session.execute(text("UPDATE market_regimes SET duration_minutes = 90"))
    found = await session.scalars(text("SELECT duration_minutes FROM market_regimes"))
    assert list(found) == [90]


async def test_the_summary_is_of_a_day_and_names_things(
    session: AsyncSession, known: dict[str, int]
) -> None:
    pair = await catalog.ensure_pair(session, "binance", "BTC/USDT")
    other = await _add(session, ModelVersion, {}, version="2")
    moment = now()
    for hours, error, latency, version in (
        (1, 1.0, 2.0, known["model_version_id"]),
        (23, -3.0, 4.0, known["model_version_id"]),
        (25, 100.0, 100.0, known["model_version_id"]),
        (2, 0.5, 1.0, other),
    ):
        await _add(
            session,
            ModelPerformance,
            {"model_version_id": version, "symbol_id": pair.id},
            time=moment - timedelta(hours=hours),
            actual=10.0,
            prediction=10.0 + error,
            latency_ms=latency,
        )
    rows = await session.execute(
        text("SELECT * FROM model_performance_summary ORDER BY model_version")
    )
    assert [tuple(row) for row in rows] == [
        ("lstm", "0", "binance", "BTC/USDT", 2.0, 3.0, 2),
        ("lstm", "2", "binance", "BTC/USDT", 0.5, 1.0, 1),
    ]


async def test_the_newest_prediction_is_found(session: AsyncSession, known: dict[str, int]) -> None:
    price, week = PredictionType.PRICE, PredictionTimeframe.WEEK
    assert await find_prediction(session, known["asset_id"], price, week) is None
    later = NOON + timedelta(hours=1)
    latest = await _add(session, ModelVersion, {}, version="2")
    newest = {"prediction_date": later, "target_date": later + WEEK, "factors": {"rsi": 65}}
    await _add(session, Prediction, known | {"model_version_id": latest})
    expected = await _add(session, Prediction, known | {"model_version_id": latest}, **newest)
    await _add(session, Prediction, known, **newest)
    await _add(session, Prediction, known, prediction_type="trend", predicted_value=-0.1)

    found = await find_prediction(session, known["asset_id"], price, week)
    assert found is not None
    assert (found.id, found.model_name, found.model_version) == (expected, "lstm", "2")
    assert (found.prediction_date, found.target_date) == (later, later + WEEK)
    assert (found.predicted_value, found.confidence_score) == (70_000.0, 62.5)
    assert (found.direction, found.factors) == (Direction.BULLISH, {"rsi": 65})
    assert (found.actual_value, found.accuracy_score) == (None, None)
    assert await find_prediction(session, 0, price, week) is None
