"""The table that jobs keep of their own: why one did not work out."""

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, CreatedAt


class JobFailure(Base):
    """One attempt of a job that ended in an error, and the error.

    The job itself is a row of the queue, which may be gone earlier. `retried` tells whether it was
    put back to wait; what was not is a dead job, which somebody has to look at.
    """

    __tablename__ = "job_failures"
    __table_args__ = (
        CheckConstraint("attempt >= 1", name="attempt"),
        CheckConstraint("length(error) <= 4000", name="error"),
        Index("idx_job_failures_failed_at", "failed_at"),
    )

    job_id: Mapped[int] = mapped_column(BigInteger(), primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    task: Mapped[str]
    error: Mapped[str]
    retried: Mapped[bool]
    failed_at: Mapped[CreatedAt]
