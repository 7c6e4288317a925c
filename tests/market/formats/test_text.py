"""What text may look like: encodings, line endings, quotation marks, blank lines."""

from collections.abc import Callable

import pytest

from seawall.core.errors import InvalidError
from seawall.market.schemas import ParsedFile

Parse = Callable[..., ParsedFile]

HEADER = "date,open,high,low,close,volume"
ROWS = [f"2024-01-0{day},1,2,1,2,{day}" for day in range(1, 6)]


def lines_of(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in parsed.rejected]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_endings(parse: Parse, ending: str, *, last: bool) -> None:
    text = ending.join([HEADER, *ROWS, "2024-01-06,0,2,1,2,1"]) + ending * last
    parsed = parse("BTCUSD.csv", text)
    assert (parsed.rows_read, len(parsed.records)) == (6, 5)
    assert lines_of(parsed) == [(7, "open 0 is not above 0")]


def test_mixed_line_endings_keep_the_lines_right(parse: Parse) -> None:
    text = f"{HEADER}\r\n{ROWS[0]}\r{ROWS[1]}\n\r\n\r{ROWS[2]}\r\n2024-01-04,x,2,1,2,1\n{ROWS[4]}"
    parsed = parse("BTCUSD.csv", text)
    assert lines_of(parsed) == [(7, "open 'x' is not a number")]
    assert parsed.records["volume"].tolist() == [1.0, 2.0, 3.0, 5.0]


def test_blank_lines_are_skipped_and_counted_as_lines(parse: Parse) -> None:
    text = "\n".join(["", "  ", HEADER, "", ROWS[0], " ", ROWS[1], "", "2024-01-03,1,2", "", ""])
    parsed = parse("BTCUSD.csv", text)
    assert (parsed.rows_read, len(parsed.records)) == (3, 2)
    assert lines_of(parsed) == [(9, "has 3 columns instead of 6")]


def test_blank_lines_above_the_header_in_the_fast_way(parse: Parse) -> None:
    text = "\n".join(["", "", HEADER, *ROWS, "2024-01-06,0,2,1,2,1"])
    assert lines_of(parse("BTCUSD.csv", text)) == [(9, "open 0 is not above 0")]


def test_a_mark_of_utf8(parse: Parse) -> None:
    assert parse("BTCUSD.csv", b"\xef\xbb\xbf" + "\n".join([HEADER, *ROWS]).encode()).rows_read == 5


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_mark_of_another_encoding(parse: Parse, encoding: str) -> None:
    with pytest.raises(InvalidError, match="is UTF-16 or UTF-32 text") as caught:
        parse("BTCUSD.csv", "\n".join([HEADER, *ROWS]).encode(encoding))
    assert caught.value.hint == "Save it as UTF-8."


def test_not_utf8(parse: Parse) -> None:
    text = "\n".join([HEADER.replace("volume", "volume,note"), "2024-01-01,1,2,1,2,1,caf\xe9"])
    with pytest.raises(InvalidError, match=r"not UTF-8: line 2 holds b'\\xe9'"):
        parse("BTCUSD.csv", text.encode("latin-1"))


def test_utf8_beyond_ascii(parse: Parse) -> None:
    text = "\n".join([f"{HEADER},note", *(f"{row},caf\xe9 \u2028 \x85" for row in ROWS)])
    assert len(parse("BTCUSD.csv", text).records) == 5


def test_nul_bytes(parse: Parse) -> None:
    with pytest.raises(InvalidError, match="line 3 holds a NUL byte"):
        parse("BTCUSD.csv", "\n".join([HEADER, ROWS[0], "2024-01-02,1\0,2,1,2,1"]))


@pytest.mark.parametrize(
    "junk", [b"\x89PNG\r\n\x1a\n\0\0", b"\x7fELF\2\1\1\0", b"\xff\xfe\xfd\xfc"]
)
def test_binary_junk(parse: Parse, junk: bytes) -> None:
    with pytest.raises(InvalidError, match=r"BTCUSD\.csv is (binary|UTF-16)"):
        parse("BTCUSD.csv", junk)


@pytest.mark.parametrize("text", ["\n", " \n\n  ", "\ufeff"])
def test_blank(parse: Parse, text: str) -> None:
    with pytest.raises(InvalidError, match="is blank"):
        parse("BTCUSD.csv", text)


@pytest.mark.parametrize("text", [HEADER, f"{HEADER}\n", f"{HEADER}\n\n \n"])
def test_only_a_header(parse: Parse, text: str) -> None:
    with pytest.raises(InvalidError, match="has a header and no rows"):
        parse("BTCUSD.csv", text)


def test_no_table_at_all_shows_the_first_line(parse: Parse) -> None:
    with pytest.raises(InvalidError, match="begins with 'Dear customer'"):
        parse("BTCUSD.csv", "Dear customer\nyour account\n")
    with pytest.raises(InvalidError, match=r"begins with 'a{120}…'"):
        parse("BTCUSD.csv", "a" * 1000)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-01-03,1,2,1,2", "has 5 columns instead of 6"),
        ("2024-01-03,1,2,1,2,1,", "has 7 columns instead of 6"),
        ("2024-01-03,1,234.5,2,1,2,1", "has 7 columns instead of 6"),
        ("2024-01-03", "has 1 columns instead of 6"),
        ('2024-01-03,"1,234.5",2,1,2,1', "open '1,234.5' has thousands separators"),
        ('2024-01-03,"1.234,5",2,1,2,1', "open '1.234,5' has thousands separators"),
        ('2024-01-03,"1234,5",2,1,2,1', "open '1234,5' has a decimal comma"),
        ("2024-01-03,1_000,2,1,2,1", "open '1_000' is not a number"),
        ("2024-01-03,0x1F,2,1,2,1", "open '0x1F' is not a number"),
        ("2024-01-03,1,2,1,2,many", "volume 'many' is not a number"),
        (",1,2,1,2,1", "time is missing"),
        ("03/01/2024,1,2,1,2,1", "time '03/01/2024' is not a time"),
        ("2024-02-30,1,2,1,2,1", "time '2024-02-30' is not a time"),
    ],
)
def test_a_row_that_cannot_be_read(parse: Parse, row: str, reason: str) -> None:
    parsed = parse("BTCUSD.csv", "\n".join([HEADER, *ROWS[:2], row, *ROWS[3:]]))
    assert lines_of(parsed) == [(4, reason)]
    assert parsed.records["volume"].tolist() == [1.0, 2.0, 4.0, 5.0]


def test_one_row_too_long_and_one_too_short_do_not_cancel_out(parse: Parse) -> None:
    rows = [ROWS[0], f"{ROWS[1]},", "2024-01-03,1,2,1,2", *ROWS[3:]]
    assert lines_of(parse("BTCUSD.csv", "\n".join([HEADER, *rows]))) == [
        (3, "has 7 columns instead of 6"),
        (4, "has 5 columns instead of 6"),
    ]


def test_thousands_separators_with_semicolons(parse: Parse) -> None:
    text = "\n".join([HEADER, *ROWS, "2024-01-06,1.234,5,2,1,2"]).replace(",", ";")
    text = text.replace("1.234;5", "1.234,5") + ";1"
    assert lines_of(parse("BTCUSD.csv", text)) == [(7, "open '1.234,5' has thousands separators")]


def test_trailing_commas_on_every_line(parse: Parse) -> None:
    assert len(parse("BTCUSD.csv", ",\n".join([HEADER, *ROWS, ""])).records) == 5


def test_spaces_around_cells(parse: Parse) -> None:
    rows = [row.replace(",", " , ") for row in ROWS]
    assert len(parse("BTCUSD.csv", "\n".join([HEADER.replace(",", ", "), *rows])).records) == 5


def test_every_cell_quoted(parse: Parse) -> None:
    quoted = ['"' + line.replace(",", '","') + '"' for line in [HEADER, *ROWS]]
    parsed = parse("BTCUSD.csv", "\n".join(quoted))
    assert parsed.records["volume"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_quoted_line_end_keeps_the_lines_right(parse: Parse) -> None:
    rows = [f"{row},fine" for row in ROWS]
    rows[1] = f'{ROWS[1]},"two\nlines, and ""marks"""'
    rows[3] = '2024-01-04,1,2,1,"2\n",5,x'
    rows[4] = "2024-01-05,-1,2,1,2,5,x"
    parsed = parse("BTCUSD.csv", "\n".join([f"{HEADER},note", *rows]))
    assert lines_of(parsed) == [(8, "open -1 is not above 0")]
    assert len(parsed.records) == 4


def test_a_quotation_mark_that_is_not_closed(parse: Parse) -> None:
    text = "\n".join([HEADER, ROWS[0], '2024-01-02,"1,2,1,2,1', *ROWS[2:]])
    with pytest.raises(
        InvalidError, match="the row that begins on line 3 cannot be read"
    ) as caught:
        parse("BTCUSD.csv", text)
    assert "not closed" in caught.value.hint
