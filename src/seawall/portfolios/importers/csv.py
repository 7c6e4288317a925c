"""Transactions from a CSV file with the columns date, type, asset, quantity and a few more."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from seawall.core.cells import guard, unguard
from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    name_some,
)
from seawall.core.money import ZERO, parse_amount, plain
from seawall.core.time import EPOCH, iso, parse_time
from seawall.market.schemas import Rejected
from seawall.portfolios.ledger import in_order, sift
from seawall.portfolios.schemas import (
    CASH,
    CheckedHistory,
    LotMethod,
    ParsedRow,
    ParsedTransactions,
    Transaction,
    TransactionType,
)

MAX_BYTES = 64 * 2**20
REQUIRED = ("date", "type", "asset", "quantity")
OPTIONAL = ("price_usd", "fee_usd", "notes")
HEADER = ",".join(REQUIRED + OPTIONAL)
_CELL_LIMIT = 100


def read_transactions(path: Path, now: datetime) -> ParsedTransactions:
    """Read a file of transactions; `now` is the instant after which nothing can have happened.

    Raises:
        SeawallError: it cannot be read, or is not such a file. Bad rows are returned instead.
    """
    return parse_transactions(_load(path), now, what=str(path))


def parse_transactions(
    data: bytes, now: datetime, what: str = "file", most_wrong: int | None = None
) -> ParsedTransactions:
    """Read the bytes of such a file, as `read_transactions`; `what` names it in errors.

    After `most_wrong` bad rows no more is read.
    """
    records = _records(_decode(data, what))
    columns = _read_header(next(records, None), what)
    rows: list[ParsedRow] = []
    rejected: list[Rejected] = []
    seen: Counter[str] = Counter()
    for line, record in records:
        try:
            transaction = _read_row(record, columns, now, position=len(rows))
        except InvalidError as error:
            rejected.append(Rejected(line, str(error)))
            if len(rejected) == most_wrong:
                break
            continue
        rows.append(ParsedRow(line, transaction, _fingerprint(transaction, seen)))
    if not rows and not rejected:
        raise InvalidError(f"{what} has a header but no transactions.")
    return ParsedTransactions(tuple(rows), tuple(rejected), len(rows) + len(rejected))


def parse_rows(given: Sequence[Mapping[str, str]], now: datetime) -> ParsedTransactions:
    """Read rows that came otherwise, by the names of the columns; their lines count from 1.

    A row that says the same as one of a file is the same transaction.
    """
    columns = [*REQUIRED, *OPTIONAL]
    rows: list[ParsedRow] = []
    rejected: list[Rejected] = []
    seen: Counter[str] = Counter()
    for line, row in enumerate(given, 1):
        try:
            # What did not come as a cell is text as it stands.
            cells = {**row, "notes": guard(row.get("notes", ""))}
            record = [cells.get(name, "") for name in columns]
            transaction = _read_row(record, columns, now, position=len(rows))
        except InvalidError as error:
            rejected.append(Rejected(line, str(error)))
            continue
        rows.append(ParsedRow(line, transaction, _fingerprint(transaction, seen)))
    return ParsedTransactions(tuple(rows), tuple(rejected), len(given))


def check_history(
    existing: Sequence[Transaction], rows: Sequence[ParsedRow], method: LotMethod
) -> CheckedHistory:
    """Find the new rows that do not fit the whole history, existing transactions included.

    Of equal times the existing ones apply first, then the new ones in their order.

    Raises:
        ConflictError: the new rows fit, but an existing transaction no longer does.
    """
    # The ids are given here, for a file may be read once and go into several portfolios.
    named = tuple(
        ParsedRow(row.line, replace(row.transaction, id=uuid4()), row.fingerprint) for row in rows
    )
    lines = {row.transaction.id: row.line for row in named}
    together = [*in_order(existing), *(row.transaction for row in named)]
    # Sorting leaves those of equal times as they stand.
    state, refused = sift(sorted(together, key=lambda each: each.time), method)
    rejected = sorted((lines[each.id], str(error)) for each, error in refused if each.id in lines)
    if refused and not rejected:
        error = refused[0][1]
        of_cash = error.details.get("short") == CASH
        why = "Once USD is recorded, every later buy and fee is paid from it. " if of_cash else ""
        raise ConflictError(
            f"With these rows a transaction that is already held fails: {error.message}",
            hint=why + error.hint,
            details=error.details,
        )
    return CheckedHistory(named, tuple(Rejected(line, reason) for line, reason in rejected), state)


def _load(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise InvalidError(f"{path} is not a file.", hint="Name one CSV file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist.") from None
    except PermissionError:
        raise ForbiddenError(f"{path} may not be read.", hint="Check its permissions.") from None
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise InvalidError(
            f"{path} is larger than {MAX_BYTES // 2**20} MiB.", hint="Split it into several files."
        )
    return data


def _decode(data: bytes, what: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidError(f"{what} is not text in UTF-8.", hint="Save it as CSV UTF-8.")
    if not text.strip():
        raise InvalidError(f"{what} is empty.", hint=f"It begins with a header: {HEADER}")
    return text


def _records(text: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each record that is not blank with the line on which it starts."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where a quote went wrong nobody can tell any more where the next record starts.
            yield line, error
            return
        if any(cell.strip() for cell in record):
            yield line, record


def _read_header(first: tuple[int, list[str] | csv.Error] | None, what: str) -> list[str]:
    record = first[1] if first else []
    if isinstance(record, csv.Error):
        raise InvalidError(f"{what} has no readable header: {record}.", hint=f"Write: {HEADER}")
    columns = [cell.strip().lower() for cell in record]
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in REQUIRED + OPTIONAL]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    hint = f"The columns are {HEADER}; separate them by commas."
    for names, problem in (
        (missing, "lacks the columns"),
        (unknown, "has unknown columns"),
        (twice, "has columns twice"),
    ):
        if names:
            shown = [name[:_CELL_LIMIT] or "(no name)" for name in names]
            raise InvalidError(f"The header of {what} {problem}: {name_some(shown)}.", hint=hint)
    return columns


def _read_row(
    record: list[str] | csv.Error, columns: list[str], now: datetime, position: int
) -> Transaction:
    if isinstance(record, csv.Error):
        raise InvalidError(f"a quote is wrong here and hides what follows ({record}).")
    if len(record) != len(columns):
        raise InvalidError(f"it has {len(record)} columns where the header has {len(columns)}.")
    cells = dict(zip(columns, record, strict=True))
    for name, cell in cells.items():
        if "\0" in cell:
            raise InvalidError(f"{name} has a character in it that is of no text.")
        if name != "notes" and len(cell) > _CELL_LIMIT:
            raise InvalidError(f"{name} is longer than {_CELL_LIMIT} characters.")
    price, fee = cells.get("price_usd", "").strip(), cells.get("fee_usd", "").strip()
    return Transaction(
        time=_read_date(cells["date"], now),
        type=_read_type(cells["type"]),
        asset=cells["asset"].strip().upper(),
        quantity=parse_amount(cells["quantity"], "quantity"),
        price_usd=parse_amount(price, "price_usd") if price else None,
        fee_usd=parse_amount(fee, "fee_usd") if fee else ZERO,
        notes=unguard(cells.get("notes", "")),
        position=position,
    )


def _read_date(text: str, now: datetime) -> datetime:
    time = parse_time(text, "date")
    if time > now:
        raise InvalidError(f"date {text.strip()} is in the future (it is {iso(now)}).")
    # A count of milliseconds can look like a date of the 17th century.
    if time < EPOCH:
        raise InvalidError(f"date {text.strip()} is before 1970.")
    return time


def _read_type(text: str) -> TransactionType:
    try:
        return TransactionType(text.strip().lower())
    except ValueError:
        known = ", ".join(TransactionType)
        raise InvalidError(f"type {text!r} is not known.", hint=f"It is one of {known}.") from None


def _fingerprint(transaction: Transaction, seen: Counter[str]) -> str:
    said = _said(transaction)
    seen[said] += 1
    return _hash(said, seen[said])


def fingerprint(transaction: Transaction, number: int) -> str:
    """Hash what happened, and which of its equals it is, counted from 1.

    Notes are left out: who mends a note and imports the file again has not traded twice.
    """
    return _hash(_said(transaction), number)


def _hash(said: str, number: int) -> str:
    return hashlib.sha256(f"{said}#{number}".encode()).hexdigest()


def _said(transaction: Transaction) -> str:
    return json.dumps(
        [
            iso(transaction.time),
            transaction.type,
            transaction.asset,
            plain(transaction.quantity),
            "" if transaction.price_usd is None else plain(transaction.price_usd),
            plain(transaction.fee_usd),
        ]
    )
