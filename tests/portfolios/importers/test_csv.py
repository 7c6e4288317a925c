"""Files of transactions: what is read, what is refused, and that nothing counts twice."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SeawallError,
)
from seawall.market.schemas import Rejected
from seawall.portfolios.importers import csv
from seawall.portfolios.importers.csv import check_history, parse_transactions, read_transactions
from seawall.portfolios.schemas import (
    LotMethod,
    ParsedRow,
    ParsedTransactions,
    Transaction,
    TransactionType,
)

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "date,type,asset,quantity,price_usd,fee_usd,notes\n"


def parse(rows: str, header: str = HEADER) -> ParsedTransactions:
    return parse_transactions((header + rows).encode(), NOW)


def reason(row: str) -> str:
    """Return why one row is rejected, between two good ones that are taken."""
    good = "2024-01-01,buy,BTC,1,100,0,\n"
    found = parse(good + row + "\n" + good)
    assert (len(found.rows), found.rows_read) == (2, 3)
    (rejected,) = found.rejected
    assert rejected.line == 3
    return rejected.reason


def test_reads_every_column_exactly() -> None:
    found = parse('2024-01-05T10:30:00+02:00, Buy ,btc,0.123456789012345678,42000.5,1.25,"a, b"\n')
    (row,) = found.rows
    assert (row.line, found.rejected, found.rows_read) == (2, (), 1)
    assert row.transaction == Transaction(
        time=datetime(2024, 1, 5, 8, 30, tzinfo=UTC),
        type=TransactionType.BUY,
        asset="BTC",
        quantity=Decimal("0.123456789012345678"),
        price_usd=Decimal("42000.5"),
        fee_usd=Decimal("1.25"),
        notes="a, b",
    )


def test_knows_every_type() -> None:
    found = parse("".join(f"2024-01-01,{kind},BTC,1,2,,\n" for kind in TransactionType))
    assert [row.transaction.type for row in found.rows] == list(TransactionType)
    assert [row.transaction.position for row in found.rows] == list(range(9))


def test_columns_may_stand_in_any_order_and_case_and_the_optional_ones_may_lack() -> None:
    found = parse("1,BTC,2024-01-01,reward\n", "Quantity, ASSET ,date,Type\n")
    (row,) = found.rows
    assert row.transaction == Transaction(
        datetime(2024, 1, 1, tzinfo=UTC), TransactionType.REWARD, "BTC", Decimal(1)
    )


def test_a_byte_order_mark_and_mixed_line_endings_are_no_matter() -> None:
    rows = (
        b"2024-01-01,reward,BTC,1,,,\r\n\r\n2024-01-02,reward,BTC,1,,,\r2024-01-03,reward,BTC,x,,,"
    )
    found = parse_transactions(b"\xef\xbb\xbf" + HEADER.encode() + rows, NOW)
    assert [row.line for row in found.rows] == [2, 4]
    assert [rejected.line for rejected in found.rejected] == [5]


def test_lines_are_counted_through_notes_of_several_lines() -> None:
    found = parse(
        '2024-01-01,reward,BTC,1,,,"first\nsecond ""quoted""\r\nthird"\n'
        "\n"
        "2024-01-02,reward,BTC,-1,,,\n"
        '2024-01-03,reward,BTC,1,,,"last"\n'
    )
    assert [row.line for row in found.rows] == [2, 7]
    assert [rejected.line for rejected in found.rejected] == [6]
    assert found.rows[0].transaction.notes == 'first\nsecond "quoted"\r\nthird'


def test_rows_of_blank_cells_are_skipped() -> None:
    found = parse("2024-01-01,reward,BTC,1,,,\n,,,,,,\n   \n")
    assert (len(found.rows), found.rejected, found.rows_read) == (1, (), 1)


@pytest.mark.parametrize("note", ["=1+1", "@SUM(A1)", "+7", " spaced "])
def test_notes_are_kept_as_they_are(note: str) -> None:
    assert parse(f"2024-01-01,reward,BTC,1,,,{note}\n").rows[0].transaction.notes == note


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2024-01-01,swap,BTC,1,1,,", "type 'swap' is not known. It is one of buy, sell, transfer"),
        ("2024-06-01T12:00:01Z,reward,BTC,1,,,", "in the future (it is 2024-06-01T12:00:00Z)"),
        ("2024-06-02,reward,BTC,1,,,", "date 2024-06-02 is in the future"),
        ("01/02/2024,reward,BTC,1,,,", "date '01/02/2024' is not a date"),
        ("2023-02-29,reward,BTC,1,,,", "is not a date"),
        (",reward,BTC,1,,,", "date '' is not a date"),
        ("1701010100000,reward,BTC,1,,,", "date '1701010100000' is not a date"),
        ("0001-01-01T00:00:00+05:00,reward,BTC,1,,,", "is not a date or time"),
        ("2024-01-01,reward,BTC,0,,,", "quantity 0 is not above zero"),
        ("2024-01-01,reward,BTC,-1,,,", "quantity -1 is not above zero"),
        ("2024-01-01,reward,BTC,NaN,,,", "quantity 'NaN' is not a number"),
        ("2024-01-01,reward,BTC,inf,,,", "quantity 'inf' is not a number"),
        ("2024-01-01,reward,BTC,,,,", "quantity '' is not a number"),
        ('2024-01-01,reward,BTC,"1,000",,,', "'1,000' is not a number. Write it without thousands"),
        ("2024-01-01,reward,BTC,1 000,,,", "quantity '1 000' is not a number"),
        ("2024-01-01,reward,BTC,1e-19,,,", "more than 18 digits after the point"),
        ("2024-01-01,reward,BTC,1e20,,,", "quantity 1E+20 is out of range"),
        ("2024-01-01,buy,BTC,1,-5,,", "price_usd -5 is negative"),
        ("2024-01-01,buy,BTC,1,$5,,", "price_usd '$5' is not a number"),
        ("2024-01-01,buy,BTC,1,5,-1,", "fee_usd -1 is negative"),
        ("2024-01-01,buy,BTC,1,,,", "a buy of BTC needs price_usd"),
        ("2024-01-01,sell,BTC,1,,,", "a sell of BTC needs price_usd"),
        ("2024-01-01,deposit,BTC,1,,,", "a deposit of BTC needs price_usd. It becomes the cost"),
        ("2024-01-01,deposit,USD,1,2,,", "the price of USD is 1, not 2"),
        ("2024-01-01,reward,,1,,,", "the asset is empty"),
        ("2024-01-01,reward,BIT COIN,1,,,", "asset 'BIT COIN' is not a symbol"),
        ("2024-01-01,reward,BTC,1,,", "it has 6 columns where the header has 7"),
        ("2024-01-01,buy,BTC,1,000,100,0,", "it has 8 columns where the header has 7"),
        (f"2024-01-01,reward,BTC,{'1' * 101},,,", "quantity is longer than 100 characters"),
    ],
)
def test_rejects_a_bad_row_with_its_line_and_reason(row: str, says: str) -> None:
    assert says in reason(row)


def test_a_quote_that_never_closes_is_named_where_it_opens() -> None:
    found = parse('2024-01-01,reward,BTC,1,,,\n2024-01-02,reward,BTC,1,,,"lost\nand\nmore')
    assert len(found.rows) == 1
    assert [rejected.line for rejected in found.rejected] == [3]
    assert "a quote is wrong here" in found.rejected[0].reason


def test_this_very_instant_is_not_the_future() -> None:
    assert parse("2024-06-01T12:00:00Z,reward,BTC,1,,,\n").rejected == ()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n\n", "is empty"),
        (HEADER.encode(), "has a header but no transactions"),
        (HEADER.encode() + b"\n,,,,,,\n", "has a header but no transactions"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not text in UTF-8"),
        (b"date,type\x00", "is not text in UTF-8"),
        (HEADER.encode("utf-16"), "is not text in UTF-8. Save it as CSV UTF-8"),
        (b"2024-01-01,buy,BTC,1,1,1,\n", "lacks the columns: date, type, asset, quantity"),
        (b"date;type;asset;quantity\n", "separate them by commas"),
        (b"date,type,asset\n", "lacks the columns: quantity"),
        (b"date,type,asset,quantity,price,\n", "has unknown columns: price, (no name)"),
        (b"date,type,asset,quantity,Date\n", "has columns twice: date"),
        (b'date,type,"asset,quantity\n', "has no readable header"),
    ],
)
def test_refuses_a_file_that_is_no_such_file(data: bytes, says: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_transactions(data, NOW, what="book.csv")
    assert says in str(caught.value)
    assert "book.csv" in str(caught.value)


def test_reads_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "some trades.csv"
    path.write_text(HEADER + "2024-01-01,reward,BTC,1,,,\n")
    assert len(read_transactions(path, NOW).rows) == 1


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv does not exist"):
        read_transactions(tmp_path / "none.csv", NOW)


def test_a_directory_or_device_is_not_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(InvalidError, match="is not a file"):
            read_transactions(path, NOW)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.touch(mode=0)
    return path


@pytest.fixture
def unprivileged(secret: Path) -> Iterator[None]:
    """Give up root's right to read everything once the secret is there."""
    assert secret.exists()
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("unprivileged")
def test_a_file_that_may_not_be_read_is_forbidden(secret: Path) -> None:
    with pytest.raises(ForbiddenError, match=r"secret\.csv may not be read"):
        read_transactions(secret, NOW)


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.csv"
    path.write_text(HEADER + "2024-01-01,reward,BTC,1,,,\n")
    monkeypatch.setattr(csv, "MAX_BYTES", path.stat().st_size)
    assert len(read_transactions(path, NOW).rows) == 1
    monkeypatch.setattr(csv, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(InvalidError, match="is larger than"):
        read_transactions(path, NOW)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda rows: (HEADER + rows).encode()))
def test_whatever_the_bytes_there_is_an_answer(data: bytes) -> None:
    try:
        found = parse_transactions(data, NOW)
    except SeawallError:
        return
    assert found.rows_read == len(found.rows) + len(found.rejected)


def fingerprints(rows: str, header: str = HEADER) -> list[str]:
    return [row.fingerprint for row in parse(rows, header).rows]


def test_the_same_row_has_the_same_fingerprint_however_it_is_written() -> None:
    plain = fingerprints("2024-01-01,buy,BTC,1,100,0,\n")
    dressed = fingerprints('"2024-01-01T00:00:00Z", BUY ,btc,1.0,1e2,,""\r\n')
    moved = fingerprints("buy,2024-01-01,BTC,100,+1\n", "type,date,asset,price_usd,quantity\n")
    assert plain == dressed == moved


def test_identical_rows_of_one_file_both_count_each_time_it_is_read() -> None:
    row = "2024-01-01,buy,BTC,1,100,0,\n"
    first = fingerprints(row + row)
    assert len(set(first)) == 2
    assert fingerprints(row + row) == first
    # The file grew, above and below.
    grown = fingerprints("2023-01-01,reward,BTC,1,,,\n" + row + row + row)
    assert grown[1:3] == first
    assert len(set(grown)) == 4


@pytest.mark.parametrize(
    "other",
    [
        "2024-01-01T00:00:00.000001,buy,BTC,1,100,0,",
        "2024-01-01,sell,BTC,1,100,0,",
        "2024-01-01,buy,ETH,1,100,0,",
        "2024-01-01,buy,BTC,1.000000000000000001,100,0,",
        "2024-01-01,buy,BTC,1,100.1,0,",
        "2024-01-01,buy,BTC,1,100,0.1,",
    ],
)
def test_any_difference_changes_the_fingerprint(other: str) -> None:
    assert fingerprints(other) != fingerprints("2024-01-01,buy,BTC,1,100,0,")


def test_a_mended_note_is_the_same_trade() -> None:
    mended = "2024-01-01,buy,BTC,1,100,0,mended"
    assert fingerprints(mended) == fingerprints("2024-01-01,buy,BTC,1,100,0,")


def test_a_price_of_zero_is_not_the_lack_of_a_price() -> None:
    assert fingerprints("2024-01-01,reward,BTC,1,0,,") != fingerprints("2024-01-01,reward,BTC,1,,,")


def held(quantity: str = "1", day: int = 0, position: int = 7) -> Transaction:
    return Transaction(
        datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day),
        TransactionType.BUY,
        "BTC",
        Decimal(quantity),
        Decimal(100),
        position=position,
    )


def check(existing: list[Transaction], rows: tuple[ParsedRow, ...]) -> tuple[Rejected, ...]:
    return check_history(existing, rows, LotMethod.FIFO).rejected


def test_a_history_that_works_is_taken() -> None:
    found = parse(
        "2024-01-01,sell,BTC,1,120,,\n2023-01-01,buy,ETH,1,1,,\n2024-01-01,sell,ETH,1,1,,"
    )
    assert check([held()], found.rows) == ()


def test_every_sell_too_many_is_named_by_its_line() -> None:
    found = parse(
        "2024-03-01,sell,BTC,5,120,,\n"
        "2024-01-01,sell,BTC,0.5,120,,\n"
        "2024-02-01,sell,ETH,1,120,,\n"
        "2024-02-01,fee,BTC,0.5,,,\n"
    )
    first, second = check([held()], found.rows)
    assert (first.line, second.line) == (2, 4)
    assert "sell of 5 BTC on 2024-03-01T00:00:00Z: 5 BTC is asked, 0 BTC is held" in first.reason
    assert "1 ETH is asked, 0 ETH is held" in second.reason


def test_new_rows_apply_after_held_ones_of_the_same_time_and_in_their_order() -> None:
    sold = "2024-01-01,sell,BTC,1,120,,\n"
    bought = "2024-01-01,buy,BTC,1,100,,\n"
    assert check([held()], parse(sold).rows) == ()
    assert check([], parse(bought + sold).rows) == ()
    (rejected,) = check([], parse(sold + bought).rows)
    assert rejected.line == 2


def test_rows_that_break_what_is_held_already_are_a_conflict() -> None:
    found = parse("2023-12-31,deposit,USD,50,,,\n")
    with pytest.raises(ConflictError) as caught:
        check([held()], found.rows)
    assert "already held fails: buy of 1 BTC on 2024-01-01" in caught.value.message
    assert "every later buy and fee is paid from it" in caught.value.hint
