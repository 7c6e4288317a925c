"""Audit: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry: a row before and after it was changed, or an event. Secrets are redacted."""

    sequence: int
    time: datetime
    table_name: str
    operation: str
    record_id: str | None
    old_data: dict[str, Any] | None
    new_data: dict[str, Any] | None
    actor_id: UUID | None
    actor_role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerification:
    """Whether your chain is intact: every entry fits its hash, and follows from the one before."""

    is_intact: bool
    entries: int
    last_sequence: int
    head: str | None
    edited: list[int]
    unlinked: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryPage:
    """A page of a list."""

    items: list[AuditEntry]
    next_cursor: str | None = None
    total: int | None = None


class AuditOperations(Connection):
    """What the API does about audit."""

    def list_audit_entries(
        self,
        *,
        table: str | Omitted | None = OMITTED,
        operation: Literal[
            "INSERT",
            "UPDATE",
            "DELETE",
            "EXPIRE",
            "RESTORE",
            "LOGIN",
            "LOGIN_FAILED",
            "LOGOUT",
            "EXPORT",
        ]
        | Omitted
        | None = OMITTED,
        record_id: str | Omitted | None = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> AuditEntryPage:
        """List what was changed of your own, the newest first."""
        request = Request(
            "GET",
            "/api/v1/audit/entries",
            query={
                "table": table,
                "operation": operation,
                "record_id": record_id,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
                "total": total,
            },
        )
        return self.send(request, TypeAdapter(AuditEntryPage))

    def verify_audit(self) -> AuditVerification:
        """Recompute the hashes of your chain; anchors and other chains are the operator's to verify."""
        request = Request("GET", "/api/v1/audit/verification")
        return self.send(request, TypeAdapter(AuditVerification))
