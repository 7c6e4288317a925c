"""Amounts keep every digit that NUMERIC(38, 18) keeps, and refuse the rest."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core import money
from seawall.core.errors import InvalidError

WIDEST = Decimal("99999999999999999999.999999999999999999")

amounts = st.integers(-(10**38) + 1, 10**38 - 1).map(
    lambda units: money.CONTEXT.multiply(Decimal(units), money.QUANTUM)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", Decimal(1)),
        (" 0.000000000000000001 ", Decimal("1e-18")),
        ("+.5", Decimal("0.5")),
        ("1.", Decimal(1)),
        ("1e3", Decimal(1000)),
        ("-2.50", Decimal("-2.5")),
        ("99999999999999999999.999999999999999999", WIDEST),
        ("-99999999999999999999.999999999999999999", WIDEST.copy_negate()),
        ("1.10000000000000000000000", Decimal("1.1")),
    ],
)
def test_reads_what_is_written(text: str, value: Decimal) -> None:
    assert money.parse_amount(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NaN",
        "inf",
        "-Infinity",
        "1,000",
        "1_000",
        "$5",
        "0x10",
        "1e",
        "1e1000",
        "\u0661",
        "--1",
    ],
)
def test_refuses_what_is_not_a_number(text: str) -> None:
    with pytest.raises(InvalidError, match=r"quantity .* is not a number"):
        money.parse_amount(text, "quantity")


def test_says_what_to_do_about_thousands_separators() -> None:
    with pytest.raises(InvalidError) as caught:
        money.parse_amount("1,000.5")
    assert caught.value.hint == "Write it without thousands separators."


@pytest.mark.parametrize("text", ["1e20", "100000000000000000000", "1e999", "-1e20"])
def test_refuses_what_is_too_large(text: str) -> None:
    with pytest.raises(InvalidError, match="out of range"):
        money.parse_amount(text)


@pytest.mark.parametrize("text", ["1e-19", "0.0000000000000000001", "1e-999"])
def test_refuses_what_is_too_fine(text: str) -> None:
    with pytest.raises(InvalidError, match="more than 18 digits"):
        money.parse_amount(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")])
def test_fit_refuses_what_is_not_finite(value: Decimal) -> None:
    with pytest.raises(InvalidError, match="out of range"):
        money.fit(value)


def test_errors_quote_only_the_beginning_of_a_long_text() -> None:
    for text in ("x" * 10_000, "9" * 10_000, f"0.{'1' * 10_000}"):
        with pytest.raises(InvalidError) as caught:
            money.parse_amount(text)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["-0", "0e5", "-0.000", "0e-30"])
def test_zero_has_neither_sign_nor_exponent(text: str) -> None:
    zero = money.parse_amount(text)
    assert (zero.as_tuple().sign, str(zero)) == (0, "0")


@given(amounts)
def test_every_storable_amount_comes_back_as_it_was(value: Decimal) -> None:
    assert money.parse_amount(money.plain(value)) == value
    assert money.fit(value) == value


@given(amounts, st.integers(1, 40))
def test_the_callers_context_changes_nothing(value: Decimal, precision: int) -> None:
    with localcontext(prec=precision):
        assert money.fit(value) == value
        assert money.parse_amount(str(value)) == value


@given(st.lists(amounts, max_size=20))
def test_sums_are_exact_in_an_exact_block(values: list[Decimal]) -> None:
    with money.exact():
        total = sum(values, money.ZERO)
    assert Fraction(total) == sum(map(Fraction, values))


def test_sums_outside_an_exact_block_are_not() -> None:
    with money.exact():
        assert WIDEST + WIDEST - WIDEST == WIDEST
    assert WIDEST + WIDEST - WIDEST != WIDEST


@given(amounts, amounts.filter(bool))
def test_products_and_quotients_are_within_half_a_quantum(left: Decimal, right: Decimal) -> None:
    half = Fraction(money.QUANTUM) / 2
    for operation, true in (
        (money.multiply, Fraction(left) * Fraction(right)),
        (money.divide, Fraction(left) / Fraction(right)),
    ):
        if abs(true) < Fraction(money.LIMIT) - 1:
            assert abs(Fraction(operation(left, right)) - true) <= half


@pytest.mark.parametrize(
    ("left", "right", "product"),
    [
        ("0.5", "0.000000000000000001", "0"),
        ("1.5", "0.000000000000000001", "0.000000000000000002"),
        ("2.5", "0.000000000000000001", "0.000000000000000002"),
        ("-1.5", "0.000000000000000001", "-0.000000000000000002"),
    ],
)
def test_ties_go_to_the_even_digit(left: str, right: str, product: str) -> None:
    assert money.multiply(Decimal(left), Decimal(right)) == Decimal(product)


def test_refuses_products_and_quotients_that_cannot_be_stored() -> None:
    with pytest.raises(InvalidError, match=r"cost .* out of range"):
        money.multiply(Decimal("9e19"), Decimal(2), "cost")
    with pytest.raises(InvalidError, match="out of range"):
        money.divide(WIDEST, money.QUANTUM)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("0E+9"), "0"),
        (Decimal("-0.00"), "0"),
        (Decimal("1.500"), "1.5"),
        (Decimal(100), "100"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (
            Decimal("-12345678901234567890.123456789012345678"),
            "-12345678901234567890.123456789012345678",
        ),
    ],
)
def test_writes_plainly(value: Decimal, text: str) -> None:
    assert money.plain(value) == text
