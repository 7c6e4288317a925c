"""The tables of running Seawall: its log, its backups and their drills, its archives."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, BigInt, CreatedAt, UuidKey


class SystemLog(Base):
    """Something that a component of the installation had to say."""

    __tablename__ = "system_logs"
    __table_args__ = (
        CheckConstraint("level IN ('debug', 'info', 'warning', 'error', 'critical')", name="level"),
        CheckConstraint("length(component) BETWEEN 1 AND 100", name="component"),
        CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
        Index("idx_system_logs_component", "component", "time"),
        Index(
            "idx_system_logs_errors",
            "time",
            postgresql_where=text("level IN ('error', 'critical')"),
        ),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    time: Mapped[datetime] = mapped_column(primary_key=True, server_default=text("now()"))
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    level: Mapped[str]
    component: Mapped[str]
    message: Mapped[str]
    # `metadata` is SQLAlchemy's own name in a class.
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB(), server_default="{}")


class Backup(Base):
    """One backup: what was taken, where it lies, and whether it was read back.

    `checksum` is the SHA-256 of the file; `wal_start` and `wal_end` are the positions in the
    write-ahead log from which and up to which it restores. Of an expired one the file is gone.
    """

    __tablename__ = "backups"
    __table_args__ = (
        CheckConstraint("kind IN ('full', 'incremental', 'wal')", name="kind"),
        CheckConstraint("status IN ('running', 'succeeded', 'failed', 'expired')", name="status"),
        CheckConstraint(
            "(status = 'running') = (finished_at IS NULL) AND finished_at >= started_at",
            name="finished",
        ),
        CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="failed"),
        CheckConstraint(
            "status IN ('running', 'failed')"
            " OR (path IS NOT NULL AND size_bytes IS NOT NULL AND checksum IS NOT NULL)",
            name="taken",
        ),
        CheckConstraint("size_bytes >= 0", name="size"),
        CheckConstraint("octet_length(checksum) = 32", name="checksum"),
        CheckConstraint(
            "wal_start ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'"
            " AND wal_end ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'"
            " AND wal_start::pg_lsn <= wal_end::pg_lsn",
            name="wal",
        ),
        CheckConstraint(
            "verified_at IS NULL"
            " OR (status IN ('succeeded', 'expired') AND verified_at >= finished_at)",
            name="verified",
        ),
        Index("idx_backups_started_at", "started_at"),
        Index(
            "uq_backups_kept_path",
            "path",
            unique=True,
            postgresql_where=text("status = 'succeeded'"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="running")
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    path: Mapped[str | None]
    size_bytes: Mapped[BigInt | None]
    checksum: Mapped[bytes | None]
    wal_start: Mapped[str | None]
    wal_end: Mapped[str | None]
    verified_at: Mapped[datetime | None]
    error: Mapped[str | None]


class RestoreDrill(Base):
    """One rehearsal: a backup restored beside the installation, and what was checked of it."""

    __tablename__ = "restore_drills"
    __table_args__ = (
        CheckConstraint(
            "(success IS NULL) = (finished_at IS NULL) AND finished_at >= started_at",
            name="finished",
        ),
        CheckConstraint("jsonb_typeof(checks) = 'object'", name="checks"),
        Index("idx_restore_drills_started_at", "started_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    backup_id: Mapped[int] = mapped_column(
        ForeignKey("backups.id", name="fk_restore_drills_backups"), index=True
    )
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    duration: Mapped[timedelta | None] = mapped_column(
        Computed("finished_at - started_at", persisted=True)
    )
    success: Mapped[bool | None]
    checks: Mapped[dict[str, Any]] = mapped_column(server_default="{}")


class Archive(Base):
    """One file of rows that left the database: a month of a table, and what it holds.

    It is written in the transaction that deletes the rows: the two are never apart.
    """

    __tablename__ = "archives"
    __table_args__ = (
        UniqueConstraint("path", name="uq_archives_path"),
        CheckConstraint("extract(day FROM month) = 1", name="month"),
        CheckConstraint("rows > 0 AND size_bytes > 0", name="rows"),
        CheckConstraint("octet_length(sha256) = 32", name="sha256"),
        CheckConstraint("first_time <= last_time", name="times"),
        CheckConstraint("jsonb_typeof(columns) = 'object'", name="columns"),
        Index("idx_archives_table_month", "table_name", "month"),
    )

    id: Mapped[UuidKey]
    table_name: Mapped[str]
    rule: Mapped[str]
    month: Mapped[date]
    path: Mapped[str]
    rows: Mapped[BigInt]
    size_bytes: Mapped[BigInt]
    sha256: Mapped[bytes]
    first_time: Mapped[datetime]
    last_time: Mapped[datetime]
    columns: Mapped[dict[str, Any]]
    revision: Mapped[str]
    created_at: Mapped[CreatedAt]
    restored_at: Mapped[datetime | None]
