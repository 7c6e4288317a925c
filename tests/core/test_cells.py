"""Cells that begin like a formula are text to a spreadsheet, and are read as they were."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.cells import guard, unguard
from seawall.portfolios.importers.csv import HEADER, parse_transactions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


@pytest.mark.parametrize("first", FORMULAS)
def test_what_begins_like_a_formula_is_guarded(first: str) -> None:
    assert guard(f"{first}cmd|' /C calc'!A0") == f"'{first}cmd|' /C calc'!A0"


@pytest.mark.parametrize("text", ["", "a=1", "'", "'quoted'", "12", "it's -5 %", " =1"])
def test_what_does_not_is_left_as_it_is(text: str) -> None:
    assert (guard(text), unguard(text)) == (text, text)


@given(st.text(alphabet="'=+-@\t\r\n＝ab", max_size=6))  # noqa: RUF001
def test_reading_gives_what_was_written(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(FORMULAS)


@pytest.mark.parametrize("notes", ["=1+1", "'=1+1", "-5 % off", "plain", "'"])
def test_notes_of_a_file_are_read_as_they_were(notes: str) -> None:
    cell = guard(notes).replace('"', '""')
    file = f'{HEADER}\n2024-01-05,buy,BTC,1,100,0,"{cell}"\n'
    (row,) = parse_transactions(file.encode(), NOW).rows
    assert row.transaction.notes == notes
