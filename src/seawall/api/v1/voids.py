"""Mending what was recorded: transactions voided or corrected, alone or by their import."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from pydantic import Field, StringConstraints, model_validator

from seawall.api import bodies
from seawall.api.aside import ManagerAside
from seawall.api.bodies import Time, Told, require_match, tagged
from seawall.api.deps import Bound, IdempotencyKey, IfMatch, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_time, write_cursor
from seawall.api.v1.portfolios import find
from seawall.api.v1.transactions import Amount, Transaction, told
from seawall.core.time import iso, to_micros
from seawall.portfolios.browse import store as browse
from seawall.portfolios.schemas import PortfolioRecord, TransactionType
from seawall.portfolios.voiding.history import lock_history
from seawall.portfolios.voiding.void import (
    REASON_LIMIT,
    Correction,
    correct_transaction,
    void_import,
    void_transactions,
)

router = routes("/portfolios", "transactions")
_Reason = Annotated[str, StringConstraints(max_length=REASON_LIMIT)]
_MOST = 1_000
_COLUMNS = {"time": "date"}
"""What columns of a file are called otherwise here."""


class TransactionChanges(bodies.Patch):
    """What is to be told otherwise of a transaction; a price, a fee or notes that are null go."""

    time: Time = bodies.UNCHANGED
    type: TransactionType = bodies.UNCHANGED
    asset: str = Field(default=bodies.UNCHANGED, min_length=1, max_length=32, examples=["BTC"])
    quantity: Amount = Field(default=bodies.UNCHANGED, examples=["0.15"])
    price_usd: Amount | None = Field(
        default=bodies.UNCHANGED, description="Of one unit.", examples=["67500"]
    )
    fee_usd: Amount | None = Field(default=bodies.UNCHANGED, examples=["10.12"])
    notes: str | None = Field(default=bodies.UNCHANGED, max_length=10_000)
    reason: _Reason = Field(
        default=bodies.UNCHANGED, description="Why.", examples=["typed wrongly"]
    )

    @property
    def columns(self) -> dict[str, str]:
        """What is given, by the columns of a file."""
        given: dict[str, Any] = {
            name: getattr(self, name) for name in self.model_fields_set - {"reason"}
        }
        if "time" in given:
            given["time"] = iso(self.time)
        return {
            _COLUMNS.get(name, name): "" if value is None else str(value)
            for name, value in given.items()
        }


@router.patch(
    "/{portfolio_id}/transactions/{transaction_id}",
    operation_id="correctTransaction",
    response_model=Transaction,
)
async def correct(
    apart: ManagerAside,
    portfolio_id: UUID,
    transaction_id: UUID,
    body: TransactionChanges,
    match: IfMatch = None,
) -> Response:
    """Record a transaction as it should have been, in its place; the wrong one is voided.

    The answer is the new one, with an id of its own; as a JSON Merge Patch (RFC 7396) says, what
    is left out stays.
    """

    async def within(bound: Bound) -> Response:
        found = await _seen(bound, portfolio_id, transaction_id, match)
        wanted = Correction(body.columns, bound.desk.clock(), body.reason or "")
        made = await correct_transaction(bound.session, found, transaction_id, wanted)
        return tagged(Transaction.model_validate(made))

    return await apart.run(within)


@router.delete(
    "/{portfolio_id}/transactions/{transaction_id}",
    status_code=204,
    operation_id="voidTransaction",
)
async def void(
    apart: ManagerAside,
    portfolio_id: UUID,
    transaction_id: UUID,
    *,
    reason: Annotated[_Reason, Query(description="Why.", examples=["a duplicate"])] = "",
    match: IfMatch = None,
) -> None:
    """Void a transaction: it counts no more, and is still listed with `voided`."""

    async def within(bound: Bound) -> None:
        found = await _seen(bound, portfolio_id, transaction_id, match)
        await void_transactions(bound.session, found, [transaction_id], reason)

    await apart.run(within)


async def _seen(
    bound: Bound, portfolio_id: UUID, transaction_id: UUID, match: str | None
) -> PortfolioRecord:
    found = await lock_history(bound.session, portfolio_id)
    require_match(match, await told(bound.session, found.id, transaction_id))
    return found


class PastImport(Told):
    """What came together, as a file or a list, and how much of it was voided since."""

    imported_at: Time
    transactions: int
    voided: int
    first: Time = Field(description="Of when its first transaction is.")
    last: Time


@router.get("/{portfolio_id}/imports", operation_id="listImports")
async def list_imports(bound: Reader, portfolio_id: UUID, asked: Paged) -> Page[PastImport]:
    """List what was imported together, the newest first."""
    found = await find(bound.session, portfolio_id)
    before = None if asked.after is None else read_time(*asked.place(1))
    rows = await browse.page_imports(bound.session, found.id, asked.limit + 1, before)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[PastImport.model_validate(each) for each in shown],
        next_cursor=write_cursor(to_micros(shown[-1].imported_at)) if more else None,
        total=await browse.count_imports(bound.session, found.id) if asked.total else None,
    )


class Voids(bodies.Body):
    """What is to be voided together: all of an import, or transactions by their ids."""

    imported_at: Time | None = Field(
        default=None, description="The instant of an import, with all its digits."
    )
    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=_MOST)
    reason: _Reason = Field(default="", description="Why.", examples=["the wrong file"])

    @model_validator(mode="after")
    def _one_of_them(self) -> "Voids":
        if (self.imported_at is None) == (self.ids is None):
            raise ValueError("Name an import by imported_at, or transactions by ids.")
        return self


class VoidedTogether(Told):
    """How many transactions were voided."""

    voided: int


@router.post(
    "/{portfolio_id}/transactions/voids",
    status_code=200,
    operation_id="voidTransactions",
    response_model=VoidedTogether,
)
async def void_together(
    apart: ManagerAside, portfolio_id: UUID, body: Voids, key: IdempotencyKey = None
) -> Response:
    """Void all of an import, or several transactions at once, whole or not at all."""

    async def within(bound: Bound) -> Response:
        await find(bound.session, portfolio_id)

        async def work() -> Told:
            found = await lock_history(bound.session, portfolio_id)
            if body.imported_at is not None:
                at, session = body.imported_at, bound.session
                return VoidedTogether(voided=await void_import(session, found, at, body.reason))
            ids = set(body.ids or [])
            return VoidedTogether(
                voided=await void_transactions(bound.session, found, ids, body.reason)
            )

        return await once(bound, Asked(apart.request, key), work, 200)

    return await apart.run(within)
