"""The fast and the exact way of reading rows say the same, block after block."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.market.formats import rows
from seawall.market.schemas import ParsedFile

Parse = Callable[..., ParsedFile]
# Files are written and processes started: a busy machine takes its time.
UNHURRIED = settings(deadline=None)
HEADER = "time,open,high,low,close,volume"

CELLS = (
    " 1|1|1.5|2|-1|0|nan|NaN|inf|-inf|1e400|1e-400|1e5|.5|5.|+1|x|1_0|0x1|null|--1|"
    "1.7976931348623157e308|"
)
TIMES = (
    "2024-01-01|2024-01-02 00:00:00|2024-01-03T00:00:00Z|1704412800|20240104|x| 2024-01-05|"
    "2024-01-06 00:00:00.000|2030-01-01|1999-01-01|1704585600000.0|"
)
cells = st.sampled_from(CELLS.split("|"))
times = st.sampled_from(TIMES.split("|"))
tables = st.lists(st.tuples(times, cells, cells, cells, cells, cells).map(",".join), min_size=1)


def is_same(left: ParsedFile, right: ParsedFile) -> bool:
    # Written out, because NaN is not equal to itself.
    return str(left.records.tolist()) == str(right.records.tolist()) and (
        replace(left, records=right.records) == right
    )


@UNHURRIED
@given(tables)
def test_quoting_a_cell_changes_nothing(parse: Parse, table: list[str]) -> None:
    text = "\n".join([HEADER, *table])
    quoted = "\n".join([HEADER, *(f'"{row.replace(",", chr(34) + ",", 1)}' for row in table)])
    assert is_same(parse("BTCUSD.csv", text), parse("BTCUSD.csv", quoted))


def _minutes(count: int, bad: dict[int, str]) -> str:
    table = [
        bad.get(minute, f"{1_704_067_200 + 60 * minute},1,2,1,2,{minute}")
        for minute in range(count)
    ]
    return "\n".join([HEADER, *table])


@pytest.mark.parametrize("size", [1, 40, 1000])
def test_lines_are_right_in_every_block(
    parse: Parse, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(rows, "BLOCK", size)
    bad = {3: "1704067380,x,2,1,2,0", 70: "", 71: "1704071460,1,2,1,2", 99: "1704073140,0,2,1,2,0"}
    parsed = parse("BTCUSD.csv", _minutes(100, bad))
    assert [row.line for row in parsed.rejected] == [5, 73, 101]
    assert (parsed.rows_read, len(parsed.records)) == (99, 96)


def test_a_quoted_cell_may_span_blocks(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK", 1)
    text = (
        f'{HEADER},note\n1704067200,1,2,1,2,3,"a\nb\nc"\n1704067260,1,2,1,2,3,d\n1704067320,,,,,,'
    )
    parsed = parse("BTCUSD.csv", text)
    assert (len(parsed.records), [row.line for row in parsed.rejected]) == (2, [6])
