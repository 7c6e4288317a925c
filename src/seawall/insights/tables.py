"""The table of insights."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import TENANT, Base, CreatedAt, UserId, UuidKey, unaudited


class Insight(Base):
    """Something said to a user, the facts that it rests on, and whether it agrees with them.

    `verdict_details` tells what the check found; `confidence_score` goes from 0 to 100. Rules
    write insights as well as models: then no model and no prompt is named.
    """

    __tablename__ = "ai_insights"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "portfolio_id"],
            ["portfolios.user_id", "portfolios.id"],
            name="fk_ai_insights_portfolios",
            ondelete="SET NULL (portfolio_id)",
        ),
        CheckConstraint("insight_type ~ '^[a-z][a-z_]{0,49}$'", name="insight_type"),
        CheckConstraint("length(title) BETWEEN 1 AND 255 AND summary <> ''", name="texts"),
        CheckConstraint("jsonb_typeof(facts) = 'object'", name="facts"),
        CheckConstraint("verdict IN ('unchecked', 'verified', 'refuted')", name="verdict"),
        CheckConstraint("(verdict = 'unchecked') = (checked_at IS NULL)", name="checked"),
        CheckConstraint("jsonb_typeof(verdict_details) = 'object'", name="verdict_details"),
        CheckConstraint("confidence_score >= 0 AND confidence_score <= 100", name="confidence"),
        CheckConstraint("jsonb_typeof(tags) = 'array'", name="tags"),
        CheckConstraint("risk_level IN ('low', 'medium', 'high', 'extreme')", name="risk_level"),
        CheckConstraint("expires_at > created_at", name="expires"),
        Index("idx_ai_insights_user_id", "user_id", text("created_at DESC")),
        Index("idx_ai_insights_type", "user_id", "insight_type"),
        {"info": TENANT | unaudited("derived from the facts that stand beside it")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_ai_insights_users", ondelete="CASCADE")
    )
    portfolio_id: Mapped[UUID | None] = mapped_column(index=True)
    asset_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_ai_insights_assets"), index=True
    )
    insight_type: Mapped[str]
    title: Mapped[str]
    summary: Mapped[str]
    detailed_analysis: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
    verdict: Mapped[str] = mapped_column(server_default="unchecked")
    verdict_details: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    checked_at: Mapped[datetime | None]
    confidence_score: Mapped[float | None]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    prompt_used: Mapped[str | None]
    tags: Mapped[list[Any]] = mapped_column(server_default="[]")
    risk_level: Mapped[str | None]
    actionable: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
