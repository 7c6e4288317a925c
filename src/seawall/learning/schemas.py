"""The values that forecasts travel in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class PredictionType(StrEnum):
    """What a prediction is of."""

    PRICE = "price"
    TREND = "trend"
    VOLATILITY = "volatility"


class PredictionTimeframe(StrEnum):
    """How far ahead a prediction looks."""

    WEEK = "7d"
    FORTNIGHT = "14d"
    MONTH = "30d"


class Direction(StrEnum):
    """Where a price is expected to go."""

    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """A prediction as it is kept, with the model version that made it.

    Values are a price in USD, a volatility a year, or a trend's return; scores go from 0 to 100.
    Until the target date has come there is neither `actual_value` nor `accuracy_score`.
    """

    id: UUID
    asset_id: int
    prediction_type: PredictionType
    timeframe: PredictionTimeframe
    model_name: str
    model_version: str
    prediction_date: datetime
    target_date: datetime
    predicted_value: float | None
    confidence_score: float | None
    direction: Direction | None
    factors: Mapping[str, Any]
    actual_value: float | None
    accuracy_score: float | None
