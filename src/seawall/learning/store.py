"""The SQL of forecasts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.learning.schemas import (
    Direction,
    PredictionRecord,
    PredictionTimeframe,
    PredictionType,
)
from seawall.learning.tables import ModelVersion, Prediction


async def find_prediction(
    session: AsyncSession,
    asset_id: int,
    prediction_type: PredictionType,
    timeframe: PredictionTimeframe,
) -> PredictionRecord | None:
    """Return the newest prediction; of those made at one time, that of the latest version."""
    made = Prediction.__table__.c
    row = (
        await session.execute(
            select(
                made.id,
                ModelVersion.model_name,
                ModelVersion.version,
                made.prediction_date,
                made.target_date,
                made.predicted_value,
                made.confidence_score,
                made.direction,
                made.factors,
                made.actual_value,
                made.accuracy_score,
            )
            .join(ModelVersion, ModelVersion.id == made.model_version_id)
            .where(
                made.asset_id == asset_id,
                made.prediction_type == prediction_type,
                made.timeframe == timeframe,
            )
            .order_by(made.prediction_date.desc(), made.model_version_id.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        return None
    return PredictionRecord(
        id=row.id,
        asset_id=asset_id,
        prediction_type=prediction_type,
        timeframe=timeframe,
        model_name=row.model_name,
        model_version=row.version,
        prediction_date=row.prediction_date,
        target_date=row.target_date,
        predicted_value=row.predicted_value,
        confidence_score=row.confidence_score,
        direction=None if row.direction is None else Direction(row.direction),
        factors=row.factors,
        actual_value=row.actual_value,
        accuracy_score=row.accuracy_score,
    )
