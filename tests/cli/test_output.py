"""How values are written for people and for programs."""

import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from seawall.cli import output


@dataclass(frozen=True)
class Inner:
    amount: Decimal
    at: datetime


@dataclass(frozen=True)
class Outer:
    inner: Inner
    rest: tuple[object, ...]


def test_nested_values_become_plain_ones() -> None:
    value = Outer(
        Inner(Decimal("1.500"), datetime(2024, 12, 31, 15, 30, tzinfo=UTC)),
        ({"by": Decimal("1E-18")}, [Path("/a b"), UUID(int=1)], timedelta(minutes=1.5), None, True),
    )
    assert output.to_document(value) == {
        "inner": {"amount": "1.5", "at": "2024-12-31T15:30:00Z"},
        "rest": [
            {"by": "0.000000000000000001"},
            ["/a b", "00000000-0000-0000-0000-000000000001"],
            90.0,
            None,
            True,
        ],
    }


@pytest.mark.parametrize("undefined", [math.nan, math.inf, -math.inf])
def test_undefined_numbers_are_null(undefined: float) -> None:
    assert output.to_document([undefined, 0.1]) == [None, 0.1]


def test_a_decimal_keeps_every_digit() -> None:
    assert output.to_document(Decimal("12345678901234567890.123456789012345678")) == (
        "12345678901234567890.123456789012345678"
    )


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no form"):
        output.to_document({"a": {1, 2}})


def test_bytes_in_a_path_that_are_no_text_do_not_break_the_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_json({"path": Path("\udcff.csv")})
    assert json.loads(capsys.readouterr().out) == {"path": "?.csv"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("10.123456789012345678"), "10.123456789012345678"),
        (Decimal(1234567), "1,234,567"),
        (Decimal("1E+3"), "1,000"),
        (Decimal("0.50"), "0.5"),
        (Decimal("-0.000001"), "-0.000001"),
        (Decimal("-1234.5"), "-1,234.5"),
    ],
)
def test_quantities_keep_their_digits_and_sign(value: Decimal, written: str) -> None:
    assert output.quantity(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "-"),
        (92_620.714, "92,620.71"),
        (1, "1.00"),
        (0.0000123456789, "0.0000123457"),
        (Decimal("0.65608512"), "0.656085"),
        (0, "0"),
    ],
)
def test_prices_have_more_digits_the_smaller_they_are(
    value: float | Decimal | None, written: str
) -> None:
    assert output.price(value) == written


def test_money_has_cents_and_a_sign_when_asked() -> None:
    assert output.money(Decimal("1234.567")) == "1,234.57"
    assert output.money(Decimal("12.5"), signed=True) == "+12.50"
    assert output.money(Decimal("-12.5"), signed=True) == "-12.50"
    assert output.money(None, signed=True) == "-"


def test_fractions_are_percentages() -> None:
    assert output.percent(Decimal("0.4533"), 1) == "45.3%"
    assert output.percent(-0.00049) == "-0.05%"
    assert output.percent(None) == "-"
    assert output.number(1234.56789) == "1,234.5679"
    assert output.number(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "-"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (86_399, "24 h"),
        (86_400, "1 d"),
        (86_400 * 1_500, "1,500 d"),
    ],
)
def test_an_age_is_in_the_unit_that_fits(seconds: float | None, written: str) -> None:
    assert output.age(seconds) == written


def test_an_instant_is_as_short_as_it_can_be() -> None:
    assert output.day(datetime(2024, 12, 31, tzinfo=UTC)) == "2024-12-31"
    assert output.day(datetime(2024, 12, 31, 9, 5, tzinfo=UTC)) == "2024-12-31 09:05"
    assert output.day(datetime(2024, 12, 31, 0, 0, 7, 9, tzinfo=UTC)) == "2024-12-31 00:00:07"


def test_a_table_aligns_numbers_to_the_right_and_takes_text_literally(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = output.table("Name", ">Amount")
    shown.add_row("[bold]x[/red] :smile:", "1")
    shown.add_row("y", "1,000")
    output.print_table(shown)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Name                   Amount"
    assert lines[2] == "[bold]x[/red] :smile:       1"
    assert lines[3] == "y                       1,000"
    assert len(lines) == 4


def test_a_table_that_is_too_wide_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.table(*(f">{name}" for name in "abcdefgh"), "name", "~prose")
    shown.add_row(*["1234567890.123456789012345678"] * 8, "an id of some words", "word " * 40)
    output.print_table(shown)
    out = capsys.readouterr().out
    assert out.count("1234567890.123456789012345678") == 8
    assert "an id of some words" in out
    assert out.count("word") == 40 + 1
    assert "…" not in out


def test_prose_is_wrapped_where_there_is_room(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.table("name", "~prose")
    shown.add_row("x", "word " * 60)
    output.print_table(shown)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= output.PIPED_WIDTH
    assert sum(line.count("word") for line in lines) == 60


def test_facts_are_aligned_and_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_facts({"a": "[x]", "longer": "/path" * 60})
    assert capsys.readouterr().out == f"a        [x]\nlonger   {'/path' * 60}\n"


def test_a_long_note_is_one_line_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_notes(output.console(), ["word " * 100])
    assert capsys.readouterr().out.count("\n") == 1


def test_an_error_goes_to_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error("InvalidError", "No.", "Try x.", {}, as_json=False)
    assert capsys.readouterr() == ("", "Error: No.\nTry x.\n")
    output.print_error("InvalidError", "No.", "", {"at": 1, "odd": io}, as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"]["details"] == {"at": 1, "odd": str(io)}


def test_progress_says_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress() as bar:
        bar.update(bar.add_task("[/x] Importing", total=1), completed=1)
    assert capsys.readouterr() == ("", "")
