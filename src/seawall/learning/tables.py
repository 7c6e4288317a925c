"""The tables of models: their versions, what they predicted, and how they learn."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, BigInt, CreatedAt, UuidKey, audited


class ModelVersion(Base):
    """One trained state of a model, with the artefact that it is loaded from.

    `artefact_sha256` is of the file at `model_path`; a model without anything to store, like a
    naive forecast, has neither. It was trained on what lies in [trained_from, trained_until).
    """

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("model_name", "version", name="uq_model_versions_version"),
        CheckConstraint("model_name <> '' AND version <> ''", name="names"),
        CheckConstraint(
            "status IN ('training', 'validating', 'deployed', 'retired')", name="status"
        ),
        CheckConstraint(
            "CASE status WHEN 'deployed' THEN deployed_at IS NOT NULL"
            " WHEN 'retired' THEN true ELSE deployed_at IS NULL END",
            name="deployed",
        ),
        CheckConstraint(
            "(model_path IS NULL) = (artefact_sha256 IS NULL)"
            " AND octet_length(artefact_sha256) = 32",
            name="artefact",
        ),
        CheckConstraint(
            "(trained_from IS NULL) = (trained_until IS NULL) AND trained_from < trained_until",
            name="trained",
        ),
        CheckConstraint(
            "jsonb_typeof(performance_metrics) = 'object'"
            " AND jsonb_typeof(hyperparameters) = 'object'",
            name="objects",
        ),
        Index(
            "uq_model_versions_deployed",
            "model_name",
            unique=True,
            postgresql_where=text("status = 'deployed'"),
        ),
        Index("idx_model_versions_hyperparameters", "hyperparameters", postgresql_using="gin"),
        {"info": audited(derived=("performance_metrics",))},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    model_name: Mapped[str]
    version: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="training")
    performance_metrics: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    hyperparameters: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    model_path: Mapped[str | None]
    artefact_sha256: Mapped[bytes | None]
    trained_from: Mapped[datetime | None]
    trained_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    deployed_at: Mapped[datetime | None]


class Prediction(Base):
    """What a model version said of an asset, and how it turned out.

    `predicted_value` and `actual_value` are a price in USD, a volatility a year, or for a trend
    the return until the target date; `confidence_score` and `accuracy_score` go from 0 to 100. A
    trigger lets nothing change but the outcome, and that once, when the target date has come.

    The version is part of what makes a prediction unique: a naive forecast and a challenger
    predict the same as the deployed model, at the same time, and are scored beside it.
    """

    __tablename__ = "predictions"
    __table_args__ = (
        UniqueConstraint(
            "asset_id",
            "prediction_type",
            "timeframe",
            "prediction_date",
            "model_version_id",
            name="uq_predictions_prediction",
        ),
        CheckConstraint(
            "prediction_type IN ('price', 'trend', 'volatility')", name="prediction_type"
        ),
        CheckConstraint("timeframe IN ('7d', '14d', '30d')", name="timeframe"),
        CheckConstraint(
            "target_date - prediction_date = CASE timeframe WHEN '7d' THEN interval '7 days'"
            " WHEN '14d' THEN interval '14 days' WHEN '30d' THEN interval '30 days' END",
            name="target_date",
        ),
        CheckConstraint("confidence_score >= 0 AND confidence_score <= 100", name="confidence"),
        CheckConstraint("direction IN ('bullish', 'bearish', 'neutral')", name="direction"),
        CheckConstraint(
            "CASE prediction_type WHEN 'trend' THEN direction IS NOT NULL"
            " ELSE predicted_value IS NOT NULL END",
            name="says_something",
        ),
        CheckConstraint(
            "least(predicted_value, actual_value)"
            " >= CASE prediction_type WHEN 'trend' THEN -1 ELSE 0 END"
            " AND greatest(predicted_value, actual_value) < 'Infinity'",
            name="values",
        ),
        CheckConstraint("accuracy_score >= 0 AND accuracy_score <= 100", name="accuracy"),
        CheckConstraint("(actual_value IS NULL) = (accuracy_score IS NULL)", name="scored"),
        CheckConstraint("jsonb_typeof(factors) = 'object'", name="factors"),
        Index("idx_predictions_prediction_date", text("prediction_date DESC")),
        Index(
            "idx_predictions_target_date",
            "target_date",
            postgresql_where=text("actual_value IS NULL"),
        ),
        Index("idx_predictions_model_version_id", "model_version_id", "prediction_date"),
        Index(
            "idx_predictions_accuracy",
            "accuracy_score",
            postgresql_where=text("accuracy_score IS NOT NULL"),
        ),
        Index("idx_predictions_factors", "factors", postgresql_using="gin"),
    )

    id: Mapped[UuidKey]
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id", name="fk_predictions_assets"))
    prediction_type: Mapped[str]
    timeframe: Mapped[str]
    model_version_id: Mapped[int] = mapped_column(
        ForeignKey("model_versions.id", name="fk_predictions_model_versions")
    )
    prediction_date: Mapped[datetime]
    target_date: Mapped[datetime]
    predicted_value: Mapped[float | None]
    confidence_score: Mapped[float | None]
    direction: Mapped[str | None]
    actual_value: Mapped[float | None]
    accuracy_score: Mapped[float | None]
    factors: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]


class ModelPerformance(Base):
    """What a version predicted for a pair at `time`, kept once the outcome is known.

    `prediction` and `actual` are in whatever unit the model predicts; `confidence` goes from 0 to
    1, and `latency_ms` is how long the model took.
    """

    __tablename__ = "model_performance"
    __table_args__ = (
        CheckConstraint(
            "least(prediction, actual) > '-Infinity' AND greatest(prediction, actual) < 'Infinity'",
            name="values",
        ),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="confidence"),
        CheckConstraint("latency_ms >= 0 AND latency_ms < 'Infinity'", name="latency"),
        Index("idx_model_performance_time", "time", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    model_version_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    prediction: Mapped[float]
    actual: Mapped[float]
    confidence: Mapped[float]
    latency_ms: Mapped[float]
    ingested_at: Mapped[datetime]


class MarketRegime(Base):
    """The state that a pair's market entered at `time`; no duration while it lasts."""

    __tablename__ = "market_regimes"
    __table_args__ = (
        CheckConstraint(
            "regime_type IN ('trending', 'ranging', 'volatile', 'crisis')", name="regime_type"
        ),
        CheckConstraint("confidence >= 0 AND confidence <= 1", name="confidence"),
        CheckConstraint("jsonb_typeof(features) = 'object'", name="features"),
        CheckConstraint("duration_minutes >= 0", name="duration"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    regime_type: Mapped[str]
    confidence: Mapped[float]
    features: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    duration_minutes: Mapped[int | None]
    ingested_at: Mapped[datetime]


class Adaptation(Base):
    """One time that a model was adapted, written when it was over; `success` says if it helped."""

    __tablename__ = "adaptation_history"
    __table_args__ = (
        CheckConstraint(
            "trigger_event IN ('drift', 'regime_change', 'performance', 'manual')",
            name="trigger_event",
        ),
        CheckConstraint(
            "adaptation_type IN ('retraining', 'finetuning', 'parameter_update')",
            name="adaptation_type",
        ),
        CheckConstraint("performance_after IS NOT NULL OR NOT success", name="measured"),
        CheckConstraint(
            "jsonb_typeof(performance_before) = 'object'"
            " AND jsonb_typeof(performance_after) = 'object'",
            name="objects",
        ),
        Index("idx_adaptation_history_model_version_id", "model_version_id", "time"),
    )

    id: Mapped[BigInt] = mapped_column(Identity(always=True), primary_key=True)
    time: Mapped[CreatedAt]
    model_version_id: Mapped[int] = mapped_column(
        ForeignKey("model_versions.id", name="fk_adaptation_history_model_versions")
    )
    trigger_event: Mapped[str]
    adaptation_type: Mapped[str]
    performance_before: Mapped[dict[str, Any]]
    performance_after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    success: Mapped[bool]


class Experience(Base):
    """What was done in a state and what came of it; tier 1 is the newest memory, 6 the oldest."""

    __tablename__ = "experience_replay"
    __table_args__ = (
        CheckConstraint("tier BETWEEN 1 AND 6", name="tier"),
        CheckConstraint("reward > '-Infinity' AND reward < 'Infinity'", name="reward"),
        CheckConstraint("priority >= 0 AND priority < 'Infinity'", name="priority"),
        Index("idx_experience_replay_tier_priority_time", "tier", text("priority DESC"), "time"),
        Index("idx_experience_replay_time", "time", postgresql_using="brin"),
    )

    id: Mapped[BigInt] = mapped_column(Identity(always=True), primary_key=True)
    time: Mapped[datetime]
    tier: Mapped[int]
    state: Mapped[dict[str, Any]]
    action: Mapped[dict[str, Any]]
    reward: Mapped[float]
    next_state: Mapped[dict[str, Any]]
    priority: Mapped[float] = mapped_column(server_default="1")
