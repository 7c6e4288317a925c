"""The audit log: who changed what of one's own, and whether that was tampered with."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field

from seawall.api.aside import ReaderAside
from seawall.api.bodies import Instant, Time, Told
from seawall.api.deps import Bound, Reader
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, write_cursor, wrong_cursor
from seawall.audit.own import store
from seawall.audit.own.schemas import EntryFilter
from seawall.core.errors import InvalidError

router = routes("/audit", "audit")
_Word = Annotated[str | None, Query(max_length=200)]


class Operation(StrEnum):
    """What was done."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    EXPIRE = "EXPIRE"
    RESTORE = "RESTORE"
    LOGIN = "LOGIN"
    LOGIN_FAILED = "LOGIN_FAILED"
    LOGOUT = "LOGOUT"
    EXPORT = "EXPORT"


class AuditEntry(Told):
    """One entry: a row before and after it was changed, or an event. Secrets are redacted."""

    sequence: int = Field(description="Its number in your chain, from 1 without gaps.")
    time: Time
    table_name: str = Field(examples=["portfolios"])
    operation: str = Field(examples=["UPDATE"])
    record_id: str | None
    old_data: dict[str, Any] | None = Field(description="Numbers with a point are text.")
    new_data: dict[str, Any] | None
    actor_id: UUID | None = Field(description="Who did it; null for Seawall itself.")
    actor_role: str


@router.get("/entries", operation_id="listAuditEntries")
async def list_entries(
    bound: Reader,
    asked: Paged,
    *,
    table: _Word = None,
    operation: Operation | None = None,
    record_id: _Word = None,
    since: Instant = None,
    until: Instant = None,
) -> Page[AuditEntry]:
    """List what was changed of your own, the newest first."""
    if "\x00" in f"{table}{record_id}":
        raise InvalidError("This names no table, or no record.")
    before = None
    if asked.after is not None:
        (before,) = asked.place(1)
        if not isinstance(before, int) or abs(before) >= 1 << 63:
            raise wrong_cursor()
    wanted = EntryFilter(table, operation, record_id, since, until)
    rows = await store.page_entries(bound.session, asked.limit + 1, before, wanted)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[AuditEntry.model_validate(each) for each in shown],
        next_cursor=write_cursor(shown[-1].sequence) if more else None,
        total=await store.count_entries(bound.session, wanted) if asked.total else None,
    )


class AuditVerification(Told):
    """Whether your chain is intact: every entry fits its hash, and follows from the one before."""

    is_intact: bool
    entries: int
    last_sequence: int
    head: str | None = Field(
        description="The last entry's hash. Kept elsewhere, it vouches for all that came before."
    )
    edited: list[int] = Field(description="Entries that do not fit their hash; the first hundred.")
    unlinked: list[int] = Field(description="Entries that do not follow from the one before.")


@router.get("/verification", operation_id="verifyAudit")
async def verify(apart: ReaderAside) -> AuditVerification:
    """Recompute the hashes of your chain; anchors and other chains are the operator's to verify."""

    async def within(bound: Bound) -> AuditVerification:
        return AuditVerification.model_validate(await store.verify_chain(bound.session))

    return await apart.run(within)
