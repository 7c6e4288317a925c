"""The table of the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import TENANT, Base, BigInt, UuidKey, unaudited


class AuditLog(Base):
    """One entry of the audit log: a change of a row, or an event.

    The entries of a user are a chain, and those that belong to no user are the system's: each has
    the hash of the one before it. Sequence, time, actor and hashes are the database's own, whatever
    an insert says. No foreign key leads to the user: the log outlives users.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        UniqueConstraint(
            "user_id", "sequence", name="uq_audit_logs_chain", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint(
            "operation IN ('INSERT', 'UPDATE', 'DELETE', 'BEGIN', 'ANCHOR', 'EXPIRE', 'RESTORE',"
            " 'LOGIN', 'LOGIN_FAILED', 'LOGOUT', 'EXPORT')",
            name="operation",
        ),
        CheckConstraint(
            "(old_data IS NOT NULL) = (operation IN ('UPDATE', 'DELETE'))"
            " AND (new_data IS NOT NULL OR operation NOT IN ('INSERT', 'UPDATE'))"
            " AND (new_data IS NULL OR operation <> 'DELETE')",
            name="data",
        ),
        CheckConstraint(
            "sequence >= 1 AND (previous_hash IS NULL) = (sequence = 1)",
            name="link",
        ),
        Index("idx_audit_logs_record_id", "record_id"),
        Index("idx_audit_logs_time", "time", postgresql_using="brin"),
        {"info": TENANT | unaudited("it is the log itself")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UUID | None] = mapped_column(server_default=text("current_user_id()"))
    sequence: Mapped[BigInt]
    time: Mapped[datetime]
    table_name: Mapped[str]
    operation: Mapped[str]
    record_id: Mapped[str | None]
    old_data: Mapped[dict[str, Any] | None]
    new_data: Mapped[dict[str, Any] | None]
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str]
    previous_hash: Mapped[bytes | None]
    hash: Mapped[bytes]
