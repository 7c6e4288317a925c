"""Whatever a file holds: it is refused cleanly, or every row of it is accounted for."""

import re
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seawall.core.errors import SeawallError
from seawall.market.formats.registry import FORMATS
from seawall.market.schemas import DTYPES, ParsedFile

Parse = Callable[..., ParsedFile]
# Files are written and processes started: a busy machine takes its time.
UNHURRIED = settings(deadline=None)
HEADERS = [
    "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades",
    "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
    "timestamp,open,close,volume,unix_timestamp,high,low",
    "Date,Close",
    "time;open;high;low;close",
    "",
]
NAMES = ["BTCUSDT-1d.csv", "20180405_btcusd_minute_trade.csv", "x", "ABUSD.csv", "SP500.csv"]
MAGIC = [b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"\xef\xbb\xbf", b"\xff\xfe"]

cell = st.one_of(
    st.sampled_from(
        ["1", "2", "1.5", "0", "2024-01-01", "2024-01-02", "1704067200000", "60000", ""]
    ),
    st.floats().map(str),
    st.text(max_size=6),
)
row = st.lists(cell, max_size=12).map(",".join)
text = st.builds(
    lambda header, rows, end: end.join([header, *rows]),
    st.sampled_from(HEADERS),
    st.lists(row, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
)


def dropped(parsed: ParsedFile) -> int:
    found = (re.match(r"(\d+) identical duplicates dropped", note) for note in parsed.notes)
    return sum(int(match[1]) for match in found if match)


def check_sound(parsed: ParsedFile) -> None:
    assert parsed.rows_read == len(parsed.records) + len(parsed.rejected) + dropped(parsed)
    assert parsed.records.dtype == DTYPES[parsed.kind]
    assert np.all(np.diff(parsed.records["time"]) > np.timedelta64(0, "us"))
    lines = [rejected.line for rejected in parsed.rejected]
    assert lines == sorted(set(lines))


@UNHURRIED
@given(st.sampled_from(NAMES), text)
@example("x", 'time,open,high,low,close\n"')
@example("x", "time,open,high,low,close\n\x00")
def test_any_text(parse: Parse, name: str, text: str) -> None:
    with suppress(SeawallError):
        check_sound(parse(name, text.encode("utf-8", "surrogatepass")))


@UNHURRIED
@given(st.sampled_from(NAMES), st.sampled_from(MAGIC), st.binary(max_size=200))
def test_any_bytes(parse: Parse, name: str, magic: bytes, content: bytes) -> None:
    with suppress(SeawallError):
        check_sound(parse(name, magic + content))


BAD = ["x,1,2,1,2", "2024-01-01,-1,2,1,2", "1,2,3", '"a\nb",1,2,1,2']
kind = st.sampled_from(["good", "again", "", "  ", *BAD])


@UNHURRIED
@given(kinds=st.lists(kind, min_size=1, max_size=30), backwards=st.booleans())
def test_rejected_lines_point_at_the_offending_rows(
    parse: Parse, kinds: list[str], *, backwards: bool
) -> None:
    lines = ["date,open,high,low,close", "2024-01-01,1,2,1,2"]
    expected, line, days = [], 2, 1
    for each in kinds:
        line += 1 + lines[-1].count("\n")
        days += each == "good"
        if each in BAD:
            expected.append(line)
        day = np.datetime64("2024-01-01") + (-1 if backwards else 1) * (days - 1)
        lines.append(f"{day},1,2,1,2" if each in ("good", "again") else each)
    parsed = parse("BTCUSD.csv", "\n".join(lines))
    assert [rejected.line for rejected in parsed.rejected] == expected
    assert len(parsed.records) == days
    assert dropped(parsed) == kinds.count("again")


def test_known_formats_have_names_of_their_own() -> None:
    names = [form.name for form in FORMATS]
    assert len(set(names)) == len(names)
    assert names[0] == "binance"
