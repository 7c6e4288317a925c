"""The binary rows themselves, without a database."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from seawall.core.errors import UnavailableError
from seawall.db import bulk
from seawall.db.bulk import Column, Records, _Decoder

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
COLUMNS = (
    Column("time", "<M8[us]"),
    Column("short", "<i2"),
    Column("long", "<i8"),
    Column("real", "<f8"),
    Column("text", "S2"),
)
PAIR = (Column("number", "<i4"), Column("value", "<f8"))
# One row as the documentation of COPY lays it out: two fields, 4 bytes of -2, 8 bytes of 1.5.
ROW = bytes.fromhex("0002 00000004 fffffffe 00000008 3ff8000000000000")


def _integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


rows_of_any = st.lists(
    st.tuples(
        # What PostgreSQL can hold: from 4713 BC to 294276.
        st.integers(-210_863_520_000_000_000, 2**63 - 1),
        _integers(16),
        _integers(64),
        st.floats(),
        st.binary(min_size=2, max_size=2).filter(lambda text: b"\0" not in text),
    ),
    max_size=40,
)


def _array(rows: Sequence[tuple[Any, ...]], columns: Sequence[Column]) -> Records:
    records = np.empty(len(rows), bulk.record_dtype(columns))
    for column, values in zip(columns, zip(*rows, strict=True), strict=False):
        records[column.name] = np.array(values, column.dtype)
    return records


async def _encoded(records: Records, columns: Sequence[Column]) -> bytes:
    return b"".join([block async for block in bulk._blocks(records, columns, {}, asyncio.Event())])


async def _decoded(stream: bytes, columns: Sequence[Column], pieces: Sequence[int] = ()) -> Records:
    decoder, start = _Decoder(columns), 0
    for end in (*sorted(pieces), len(stream)):
        await decoder.feed(stream[start:end])
        start = end
    return decoder.finish()


@given(rows_of_any, st.lists(st.integers(0, 2000), max_size=5))
async def test_what_is_encoded_is_decoded_however_it_is_cut(
    rows: list[tuple[Any, ...]], cuts: list[int]
) -> None:
    records = _array(rows, COLUMNS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_BLOCK_ROWS", 7)
        patch.setattr(bulk, "_BLOCK_BYTES", 100)
        stream = await _encoded(records, COLUMNS)
        found = await _decoded(stream, COLUMNS, [min(cut, len(stream)) for cut in cuts])
    assert found.tobytes() == records.tobytes()


async def test_the_stream_is_what_postgresql_documents() -> None:
    records = _array([(-2, 1.5)], PAIR)
    assert await _encoded(records, PAIR) == SIGNATURE + ROW + TRAILER


async def test_instants_count_from_2000() -> None:
    column = (Column("time", "<M8[us]"),)
    records = _array([(np.datetime64("2000-01-01T00:00:01", "us"),)], column)
    stream = await _encoded(records, column)
    assert stream[len(SIGNATURE) :] == b"\0\1\0\0\0\x08" + (1_000_000).to_bytes(8) + TRAILER


async def test_a_stream_without_rows_is_empty() -> None:
    assert len(await _decoded(SIGNATURE + TRAILER, PAIR)) == 0


@pytest.mark.parametrize("lost", range(1, 2 * len(ROW) + len(TRAILER) + len(SIGNATURE) + 1))
async def test_a_truncated_stream_is_refused_wherever_it_ends(lost: int) -> None:
    stream = SIGNATURE + ROW + ROW + TRAILER
    with pytest.raises(UnavailableError, match="The database sent"):
        await _decoded(stream[:-lost], PAIR)


@pytest.mark.parametrize("more", [b"\0", TRAILER, ROW, ROW + TRAILER])
async def test_anything_after_the_trailer_is_refused(more: bytes) -> None:
    with pytest.raises(UnavailableError, match="The database sent"):
        await _decoded(SIGNATURE + ROW + TRAILER + more, PAIR)


async def test_text_instead_of_binary_rows_is_refused() -> None:
    with pytest.raises(UnavailableError, match="something else than binary rows"):
        await _decoded(b"1\t2.5\n" * 20, PAIR)


@pytest.mark.parametrize(
    "row",
    [
        "0002 00000008 fffffffe 00000008 3ff8000000000000",
        "0002 00000004 fffffffe 00000004 3ff8000000000000",
        "0002 ffffffff fffffffe 00000008 3ff8000000000000",
        "0003 00000004 fffffffe 00000004 3ff80000 00000000",
    ],
    ids=["wide", "narrow", "null", "more fields"],
)
async def test_a_row_that_only_has_the_right_size_is_refused(row: str) -> None:
    with pytest.raises(UnavailableError, match="The database sent"):
        await _decoded(SIGNATURE + ROW + bytes.fromhex(row) + TRAILER, PAIR)


@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from([1.5, float("nan")])), max_size=30))
def test_groups_of_nulls_take_every_row_once_without_its_nulls(
    rows: list[tuple[int, float]],
) -> None:
    columns = (Column("number", "<i4", -1), Column("value", "<f8", float("nan")))
    records = _array(rows, columns)
    seen: list[tuple[int | None, float | None]] = []
    for part, present in bulk._null_groups(records, columns):
        names = {column.name for column in present}
        assert len(part)
        for row in part:
            number, value = int(row["number"]), float(row["value"])
            assert ("number" in names) == (number != -1)
            assert ("value" in names) == (value == value)  # noqa: PLR0124 - NaN
            seen.append((number, value if "value" in names else None))
    expected = [(number, value if value == value else None) for number, value in rows]  # noqa: PLR0124 - NaN
    assert sorted(seen, key=repr) == sorted(expected, key=repr)


def test_the_select_list_puts_what_stands_for_null_in_its_place() -> None:
    columns = (Column("time", "<M8[us]"), Column("count", "<i8", -1))
    assert bulk.select_list(columns) == "time, coalesce(count, '-1') AS count"


def test_an_instant_is_exact_to_the_microsecond() -> None:
    found = bulk.instant(np.datetime64("1969-12-31T23:59:59.999999", "us"))
    assert found.isoformat() == "1969-12-31T23:59:59.999999+00:00"


def test_the_record_dtype_names_the_columns_in_order() -> None:
    dtype = bulk.record_dtype(PAIR)
    assert_array_equal(dtype.names, ["number", "value"])
    assert [dtype[name].str for name in ("number", "value")] == ["<i4", "<f8"]
