"""Transactions: what happened in a portfolio, and what is recorded as a file or a list."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api import bodies
from seawall.api.aside import ManagerAside
from seawall.api.bodies import Instant, Money, Time, Told, tagged
from seawall.api.deps import Bound, IdempotencyKey, IfNoneMatch, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, read_id, read_time
from seawall.api.sorting import Listed, Sorts, read_integer, read_text
from seawall.api.v1.portfolios import find
from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.time import iso
from seawall.portfolios.browse import store as browse
from seawall.portfolios.browse.schemas import TransactionFilter, Voided
from seawall.portfolios.importers.csv import parse_rows, parse_transactions
from seawall.portfolios.schemas import (
    ParsedTransactions,
    PortfolioRecord,
    TransactionType,
    VoidKind,
)
from seawall.portfolios.transactions import import_transactions

router = routes("/portfolios", "transactions")
_Sort = Literal["time", "-time", "recorded_at", "-recorded_at", "asset", "-asset"]
_SORTS: Sorts = {
    "time": {"time": read_time, "entry": read_integer, "id": read_id},
    "recorded_at": {"recorded_at": read_time, "entry": read_integer, "id": read_id},
    "asset": {"asset": read_text, "time": read_time, "entry": read_integer, "id": read_id},
}
MOST_WRONG = 100
"""Rows that are told of: of more than these nobody mends one after the other."""
Amount = Annotated[str, StringConstraints(max_length=100, pattern=r"^[0-9.eE+-]+$")]
_FILE = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
    "examples": [
        "date,type,asset,quantity,price_usd,fee_usd,notes\n2026-01-05,buy,BTC,1,90000,0,\n"
    ],
}


async def _wanted(
    *,
    type_: Annotated[TransactionType | None, Query(alias="type")] = None,
    asset: Annotated[str | None, Query(max_length=32, examples=["BTC"])] = None,
    since: Instant = None,
    until: Instant = None,
    voided: Annotated[
        Voided, Query(description="Whether those that were voided are told of too, or alone.")
    ] = Voided.WITHOUT,
) -> TransactionFilter:
    if asset is not None and "\x00" in asset:
        raise InvalidError("This is not an asset's symbol.")
    return TransactionFilter(type_, asset, since, until, voided)


class Transaction(Told):
    """One thing that happened to one asset; `price_usd` is for one unit.

    What is voided counts no more since `voided_at`.
    """

    id: UUID
    time: Time
    type: TransactionType
    asset: str = Field(examples=["BTC"])
    quantity: Money
    price_usd: Money | None
    fee_usd: Money
    total_usd: Money | None
    notes: str
    recorded_at: Time
    imported_at: Time | None = Field(description="The same for all that came together.")
    voided_at: Time | None
    void_kind: VoidKind | None
    void_reason: str
    replaces_id: UUID | None = Field(description="What this one corrects.")
    replaced_by: UUID | None = Field(description="What corrects this one.")


@router.get("/{portfolio_id}/transactions", operation_id="listTransactions")
async def list_transactions(
    bound: Reader,
    portfolio_id: UUID,
    asked: Paged,
    chosen: Annotated[TransactionFilter, Depends(_wanted)],
    sort: Annotated[_Sort, Query(description="Without the - the oldest come first.")] = "-time",
) -> Page[Transaction]:
    """List what happened from `since` to before `until`, the newest first."""
    found = await find(bound.session, portfolio_id)
    listed = Listed(asked, sort, _SORTS)
    rows = await browse.page_transactions(bound.session, found.id, chosen, listed.span())
    count = partial(browse.count_transactions, bound.session, found.id, chosen)
    return await listed.page(Transaction, rows, count)


@router.get(
    "/{portfolio_id}/transactions/{transaction_id}",
    operation_id="getTransaction",
    response_model=Transaction,
)
async def get_transaction(
    bound: Reader, portfolio_id: UUID, transaction_id: UUID, known: IfNoneMatch = None
) -> Response:
    """Tell of a transaction, voided or not."""
    found = await find(bound.session, portfolio_id)
    return tagged(await told(bound.session, found.id, transaction_id), known)


async def told(session: AsyncSession, portfolio_id: UUID, transaction_id: UUID) -> Transaction:
    """Return a transaction of a portfolio.

    Raises:
        NotFoundError: there is none.
    """
    found = await browse.find_transaction(session, portfolio_id, transaction_id)
    if found is None:
        raise NotFoundError("There is no such transaction.")
    return Transaction.model_validate(found)


class Import(Told):
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    left_out: int = Field(description="Voided by hand before: `again` takes them.")
    imported_at: Time | None = Field(description="By it all of them can be voided together.")
    dry_run: bool


class NewTransaction(bodies.Body):
    """One thing that happened, as a row of a file says it."""

    time: Time
    type: TransactionType
    asset: str = Field(min_length=1, max_length=32, examples=["BTC"])
    quantity: Amount = Field(examples=["0.15"])
    price_usd: Amount | None = Field(default=None, description="Of one unit.", examples=["67500"])
    fee_usd: Amount | None = Field(default=None, examples=["10.12"])
    notes: str = Field(default="", max_length=10_000)


class NewTransactions(bodies.Body):
    """What happened, in the order in which it happened."""

    transactions: list[NewTransaction] = Field(min_length=1, max_length=1_000)


@router.post(
    "/{portfolio_id}/transactions",
    status_code=201,
    operation_id="importTransactions",
    response_model=Import,
    openapi_extra={"requestBody": {"content": {"text/csv": {"schema": _FILE}}}},
)
async def record(
    apart: ManagerAside,
    portfolio_id: UUID,
    body: NewTransactions | Annotated[bytes, SkipJsonSchema()],
    *,
    dry_run: Annotated[bool, Query(description="Check it all, and keep nothing.")] = False,
    again: Annotated[
        bool, Query(description="Take rows again that were voided one by one.")
    ] = False,
    key: IdempotencyKey = None,
) -> Response:
    """Record a file or a list of transactions, whole or not at all; the same changes nothing.

    A row counts as recorded when time, type, asset and amounts are the same, however it came. One
    that was voided is left out, unless its whole import was.
    """

    async def within(bound: Bound) -> Response:
        found = await find(bound.session, portfolio_id)
        now = bound.desk.clock()
        if isinstance(body, bytes):
            parsed, place = parse_transactions(body, now, most_wrong=MOST_WRONG), _line
        else:
            parsed, place = parse_rows([_row(each) for each in body.transactions], now), _item

        async def work() -> Told:
            how = _How(place, again=again, dry_run=dry_run)
            return await _import(bound.session, found, parsed, how)

        return await once(bound, Asked(apart.request, key), work)

    return await apart.run(within)


def _row(given: NewTransaction) -> dict[str, str]:
    return {
        "date": iso(given.time),
        "type": given.type.value,
        "asset": given.asset,
        "quantity": given.quantity,
        "price_usd": given.price_usd or "",
        "fee_usd": given.fee_usd or "",
        "notes": given.notes,
    }


def _line(number: int) -> str:
    return f"line {number}"


def _item(number: int) -> str:
    return f"transactions.{number - 1}"


@dataclass(frozen=True, slots=True)
class _How:
    """How rows are named, and what is done with them."""

    place: Callable[[int], str]
    again: bool
    dry_run: bool


async def _import(
    session: AsyncSession, found: PortfolioRecord, parsed: ParsedTransactions, how: _How
) -> Import:
    async with session.begin_nested() as step:
        done = await import_transactions(session, found, parsed, again=how.again)
        if how.dry_run:
            await step.rollback()
    if done.rejected:
        errors = [{"where": how.place(row.line), "what": row.reason} for row in done.rejected]
        raise InvalidError(
            f"{len(errors)} of {done.rows_read} rows read are wrong, and nothing was imported.",
            details={"errors": errors},
        )
    return Import(
        rows_read=done.rows_read,
        inserted=done.inserted,
        unchanged=done.unchanged,
        left_out=done.left_out,
        imported_at=None if how.dry_run else done.imported_at,
        dry_run=how.dry_run,
    )
