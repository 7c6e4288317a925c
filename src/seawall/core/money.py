"""Exact amounts: how decimals are read, rounded and shown."""

import re
from contextlib import AbstractContextManager
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from seawall.core.errors import InvalidError

SCALE = 18
"""Digits after the point that are kept: enough for one wei."""
PRECISION = 38
"""Digits in all, as NUMERIC(38, 18) stores them."""
QUANTUM = Decimal(1).scaleb(-SCALE)
LIMIT = Decimal(10) ** (PRECISION - SCALE)
"""What every stored amount stays below, in size."""
ZERO = Decimal(0)

# Wide enough that a product of two stored amounts is exact before it is rounded.
CONTEXT = Context(prec=4 * PRECISION, rounding=ROUND_HALF_EVEN)

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SHOWN = 60


def exact() -> AbstractContextManager[Context]:
    """Open a block in which +, - and sum() of stored amounts lose no digit.

    Outside it Python rounds every result to 28 digits, ten fewer than an amount may have.
    """
    return localcontext(CONTEXT)


def parse_amount(text: str, what: str = "amount") -> Decimal:
    """Read a decimal exactly as it is written.

    Raises:
        InvalidError: it is not a plain finite number, or has more digits than can be stored.
    """
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        hint = "Write it without thousands separators." if "," in stripped else ""
        raise InvalidError(f"{what} {_short(text)!r} is not a number.", hint=hint)
    return fit(Decimal(stripped), what)


def fit(value: Decimal, what: str = "amount") -> Decimal:
    """Return the value when NUMERIC(38, 18) holds it exactly; a zero has no sign.

    Raises:
        InvalidError: it is not finite, too large, or finer than 18 digits after the point.
    """
    # copy_abs and compare never round; abs() would, to the caller's 28 digits.
    if not value.is_finite() or value.copy_abs() >= LIMIT:
        raise InvalidError(f"{what} {_short(str(value))} is out of range (below {LIMIT:.0e}).")
    if value != value.quantize(QUANTUM, context=CONTEXT):
        shown = _short(str(value))
        raise InvalidError(f"{what} {shown} has more than {SCALE} digits after the point.")
    return value or ZERO


def multiply(left: Decimal, right: Decimal, what: str = "amount") -> Decimal:
    """Multiply two amounts and round half-even to the stored scale.

    Raises:
        InvalidError: the product is too large to be stored.
    """
    return _rounded(CONTEXT.multiply(left, right), what)


def divide(left: Decimal, right: Decimal, what: str = "amount") -> Decimal:
    """Divide two amounts and round half-even to the stored scale; the divisor is not zero.

    Raises:
        InvalidError: the quotient is too large to be stored.
    """
    return _rounded(CONTEXT.divide(left, right), what)


def plain(value: Decimal) -> str:
    """Write a finite decimal without exponent or trailing zeros, losing no digit."""
    text = f"{value or ZERO:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded(value: Decimal, what: str) -> Decimal:
    rounded = value.quantize(QUANTUM, context=CONTEXT)
    if rounded.copy_abs() >= LIMIT:
        raise InvalidError(f"{what} {rounded:.6e} is out of range (below {LIMIT:.0e}).")
    return rounded


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
