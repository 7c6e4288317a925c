"""Transactions: what happened in a portfolio, and what is recorded as a file or a list."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api import bodies
from seawall.api.aside import ManagerAside
from seawall.api.bodies import Instant, Money, Time, Told
from seawall.api.deps import Bound, IdempotencyKey, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_time, write_cursor, wrong_cursor
from seawall.api.v1.portfolios import find
from seawall.core.errors import InvalidError
from seawall.core.time import iso, to_micros
from seawall.portfolios.browse import store as browse
from seawall.portfolios.browse.schemas import TransactionFilter
from seawall.portfolios.importers.csv import parse_rows, parse_transactions
from seawall.portfolios.schemas import ParsedTransactions, PortfolioRecord, TransactionType
from seawall.portfolios.transactions import import_transactions

router = routes("/portfolios", "transactions")
MOST_WRONG = 100
"""Rows that are told of: of more than these nobody mends one after the other."""
_Amount = Annotated[str, StringConstraints(max_length=100, pattern=r"^[0-9.eE+-]+$")]
_FILE = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
    "examples": [
        "date,type,asset,quantity,price_usd,fee_usd,notes\n2026-01-05,buy,BTC,1,90000,0,\n"
    ],
}


class Transaction(Told):
    """One thing that happened to one asset; `price_usd` is for one unit."""

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


@router.get("/{portfolio_id}/transactions", operation_id="listTransactions")
async def list_transactions(
    bound: Reader,
    portfolio_id: UUID,
    asked: Paged,
    *,
    type_: Annotated[TransactionType | None, Query(alias="type")] = None,
    asset: Annotated[str | None, Query(max_length=32, examples=["BTC"])] = None,
    since: Instant = None,
    until: Instant = None,
) -> Page[Transaction]:
    """List what happened from `since` to before `until`, the newest first."""
    found = await find(bound.session, portfolio_id)
    if asset is not None and "\x00" in asset:
        raise InvalidError("This is not an asset's symbol.")
    wanted = TransactionFilter(type_, asset, since, until)
    after = None
    if asked.after is not None:
        time, entry = asked.place(2)
        if not isinstance(entry, int) or abs(entry) >= 1 << 63:
            raise wrong_cursor()
        after = (read_time(time), entry)
    rows = await browse.page_transactions(bound.session, found.id, wanted, asked.limit + 1, after)
    shown, more = cut(rows, asked.limit)
    total = None
    if asked.total:
        total = await browse.count_transactions(bound.session, found.id, wanted)
    return Page(
        items=[Transaction.model_validate(each) for each in shown],
        next_cursor=write_cursor(to_micros(shown[-1].time), shown[-1].entry) if more else None,
        total=total,
    )


class Import(Told):
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    dry_run: bool


class NewTransaction(bodies.Body):
    """One thing that happened, as a row of a file says it."""

    time: Time
    type: TransactionType
    asset: str = Field(min_length=1, max_length=32, examples=["BTC"])
    quantity: _Amount = Field(examples=["0.15"])
    price_usd: _Amount | None = Field(default=None, description="Of one unit.", examples=["67500"])
    fee_usd: _Amount | None = Field(default=None, examples=["10.12"])
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
    key: IdempotencyKey = None,
) -> Response:
    """Record a file or a list of transactions, whole or not at all; the same changes nothing.

    A row counts as recorded when time, type, asset and amounts are the same, however it came.
    """

    async def within(bound: Bound) -> Response:
        found = await find(bound.session, portfolio_id)
        now = bound.desk.clock()
        if isinstance(body, bytes):
            parsed, place = parse_transactions(body, now, most_wrong=MOST_WRONG), _line
        else:
            parsed, place = parse_rows([_row(each) for each in body.transactions], now), _item

        async def work() -> Told:
            return await _import(bound.session, found, parsed, place, dry_run=dry_run)

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


async def _import(
    session: AsyncSession,
    found: PortfolioRecord,
    parsed: ParsedTransactions,
    place: Callable[[int], str],
    *,
    dry_run: bool,
) -> Import:
    async with session.begin_nested() as step:
        done = await import_transactions(session, found, parsed)
        if dry_run:
            await step.rollback()
    if done.rejected:
        errors = [{"where": place(row.line), "what": row.reason} for row in done.rejected]
        raise InvalidError(
            f"{len(errors)} of {done.rows_read} rows read are wrong, and nothing was imported.",
            details={"errors": errors},
        )
    return Import(
        rows_read=done.rows_read,
        inserted=done.inserted,
        unchanged=done.unchanged,
        dry_run=dry_run,
    )
