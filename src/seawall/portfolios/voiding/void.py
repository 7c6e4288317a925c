"""Voiding transactions and correcting them, whole or not at all.

What follows from the history is written anew as if what is voided had never been recorded. Nothing
vanishes: what was known before is still computed with it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime
from itertools import count
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError, name_some
from seawall.core.money import plain
from seawall.core.time import iso
from seawall.db.locks import clock
from seawall.market import catalog
from seawall.portfolios import store as ledger_store
from seawall.portfolios.browse.schemas import TransactionRecord
from seawall.portfolios.browse.store import find_transaction
from seawall.portfolios.importers.csv import OPTIONAL, REQUIRED, fingerprint, parse_rows
from seawall.portfolios.ledger import in_order, sift
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.schemas import (
    ParsedRow,
    PortfolioRecord,
    PortfolioState,
    Transaction,
    VoidKind,
)
from seawall.portfolios.voiding import store
from seawall.portfolios.voiding.history import measure_again

REASON_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Correction:
    """What is said otherwise of a transaction, by the columns of a file; the rest stays.

    An empty text takes a price, a fee or notes away. Nothing may be dated after `now`.

    Raises:
        InvalidError: there is no such column, or the reason is not one line.
    """

    columns: Mapping[str, str]
    now: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - {*REQUIRED, *OPTIONAL})
        if unknown:
            raise InvalidError(f"A transaction has no {name_some(unknown)}.")
        require_reason(self.reason)


def require_reason(reason: str) -> None:
    """Check why something is voided.

    Raises:
        InvalidError: it is not one line, or too long.
    """
    if len(reason) > REASON_LIMIT or not (reason.isprintable() or not reason):
        raise InvalidError(
            f"The reason is not one line of up to {REASON_LIMIT} printable characters."
        )


async def void_transactions(
    session: AsyncSession, portfolio: PortfolioRecord, ids: Collection[UUID], reason: str = ""
) -> int:
    """Void transactions of a portfolio that `lock_history` has locked; return how many.

    Raises:
        NotFoundError: one is not in this portfolio.
        ConflictError: one was voided before, or the history does not add up without them.
        InvalidError: the reason is not one line.
    """
    require_reason(reason)
    existing = await ledger_store.list_transactions(session, portfolio.id)
    counting = {each.id for each in existing}
    for id_ in ids:
        if id_ not in counting:
            await _require_living(session, portfolio, id_)
    how = store.Void(await clock(session), VoidKind.ROW, reason)
    return await _void(session, portfolio, existing, frozenset(ids), how)


async def void_import(
    session: AsyncSession, portfolio: PortfolioRecord, imported_at: datetime, reason: str = ""
) -> int:
    """Void all that came with one import and still counts, corrected or not; return how many.

    The portfolio was locked by `lock_history`.

    Raises:
        NotFoundError: nothing was imported at that instant.
        ConflictError: all of it was voided before, or the history does not add up without it.
        InvalidError: the reason is not one line.
    """
    require_reason(reason)
    found = await store.list_of_import(session, portfolio.id, imported_at)
    if not found:
        raise NotFoundError(
            f"Nothing was imported into {portfolio.name!r} at {iso(imported_at)}.",
            hint="The list of its imports says when; all digits count.",
        )
    ids = {id_ for id_, counts in found.items() if counts}
    if not ids:
        raise ConflictError(f"All that was imported at {iso(imported_at)} is voided already.")
    existing = await ledger_store.list_transactions(session, portfolio.id)
    how = store.Void(await clock(session), VoidKind.IMPORT, reason)
    return await _void(session, portfolio, existing, ids, how)


async def correct_transaction(
    session: AsyncSession, portfolio: PortfolioRecord, id_: UUID, correction: Correction
) -> TransactionRecord:
    """Void a transaction and record it as it should have been, in its place; return the new one.

    The portfolio was locked by `lock_history`. Where nothing is said otherwise nothing happens.

    Raises:
        NotFoundError: it is not in this portfolio.
        ConflictError: it was voided before, or a later one does not fit what it becomes.
        InvalidError: it makes no sense as it is said, or does not fit what was before it.
    """
    before = await _require_living(session, portfolio, id_)
    existing = await ledger_store.list_transactions(session, portfolio.id)
    old = next(each for each in existing if each.id == id_)
    new = _corrected(old, correction)
    if new == replaced(old, id=new.id):
        return before
    together = [new if each.id == id_ else each for each in existing]
    state = _require_fit(together, portfolio, "it is so", new)
    stamp = await clock(session)
    asset = await catalog.ensure_asset(session, new.asset)
    how = store.Void(stamp, VoidKind.CORRECTION, correction.reason)
    await store.void(session, portfolio.id, [id_], how)
    name = await store.find_external_id(session, id_)
    if name is None or new != replaced(old, id=new.id, notes=new.notes):
        taken = await store.list_living_ids(session, portfolio.id)
        name = next(each for n in count(1) if (each := fingerprint(new, n)) not in taken)
    await store.replace(session, id_, ParsedRow(1, new, name), asset.id, stamp)
    await project_holdings(session, portfolio.id, stamp, state)
    await measure_again(session, portfolio)
    assert new.id is not None  # noqa: S101 - given below
    made = await find_transaction(session, portfolio.id, new.id)
    assert made is not None  # noqa: S101 - it was just recorded
    return made


def _corrected(old: Transaction, correction: Correction) -> Transaction:
    row = {
        "date": iso(old.time),
        "type": old.type.value,
        "asset": old.asset,
        "quantity": plain(old.quantity),
        "price_usd": "" if old.price_usd is None else plain(old.price_usd),
        "fee_usd": plain(old.fee_usd),
        "notes": old.notes,
    }
    parsed = parse_rows([row | dict(correction.columns)], correction.now)
    if parsed.rejected:
        raise InvalidError(f"It cannot be so: {parsed.rejected[0].reason}")
    return replaced(parsed.rows[0].transaction, position=old.position, id=uuid4())


async def _void(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    existing: Sequence[Transaction],
    ids: Collection[UUID],
    how: store.Void,
) -> int:
    rest = [each for each in existing if each.id not in ids]
    state = _require_fit(rest, portfolio, "it is voided" if len(ids) == 1 else "they are voided")
    await store.void(session, portfolio.id, ids, how)
    await project_holdings(session, portfolio.id, how.at, state)
    await measure_again(session, portfolio)
    return len(ids)


def _require_fit(
    together: Sequence[Transaction],
    portfolio: PortfolioRecord,
    what: str,
    new: Transaction | None = None,
) -> PortfolioState:
    state, refused = sift(in_order(together), portfolio.lot_method)
    if not refused:
        return state
    first, error = refused[0]
    details = {**error.details, "transaction_id": str(first.id)}
    if first is new:
        raise InvalidError(f"It cannot be so: {error.message}", hint=error.hint)
    raise ConflictError(
        f"When {what}, a transaction that was recorded fails: {error.message}",
        hint="Void or correct that one as well, before it or in the same request.",
        details=details,
    )


async def _require_living(
    session: AsyncSession, portfolio: PortfolioRecord, id_: UUID
) -> TransactionRecord:
    found = await find_transaction(session, portfolio.id, id_)
    if found is None:
        raise NotFoundError("There is no such transaction in this portfolio.")
    if found.voided_at is not None:
        by = f" and replaced by {found.replaced_by}" if found.replaced_by else ""
        raise ConflictError(
            f"The transaction {id_} was voided on {iso(found.voided_at)}{by}.",
            hint="Correct the one that replaced it." if by else "It counts no more.",
        )
    return found
