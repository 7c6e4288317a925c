"""Exact amounts: how decimals are read, rounded and shown."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from seawall.core.errors import InvalidError

SCALE = 18
"""Digits after the point that are kept: enough for one wei."""
PRECISION = 38
"""Digits in all, as NUMERIC(38, 18) stores them."""
QUANTUM = Decimal(1).scaleb(-SCALE)
LIMIT = Decimal(10) ** (PRECISION - SCALE)
ZERO = Decimal(0)

# Wide enough that a product of two stored amounts is exact before it is rounded.
CONTEXT = Context(prec=4 * PRECISION, rounding=ROUND_HALF_EVEN)

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def parse_amount(text: str, what: str = "amount") -> Decimal:
    """Read a decimal exactly as it is written.

    Raises:
        InvalidError: it is not a plain finite number, or has more digits than can be stored.
    """
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        hint = "Write it without thousands separators." if "," in stripped else ""
        raise InvalidError(f"{what} {text!r} is not a number.", hint=hint)
    return fit(Decimal(stripped), what)


def fit(value: Decimal, what: str = "amount") -> Decimal:
    """Return the value when NUMERIC(38, 18) holds it exactly.

    Raises:
        InvalidError: it is not finite, too large, or finer than 18 digits after the point.
    """
    if not value.is_finite() or abs(value) >= LIMIT:
        raise InvalidError(f"{what} {value} is out of range (below {LIMIT:.0e}).")
    with localcontext(CONTEXT):
        if value != value.quantize(QUANTUM):
            raise InvalidError(f"{what} {value} has more than {SCALE} digits after the point.")
    return value


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Multiply two amounts and round half-even to the stored scale."""
    return CONTEXT.multiply(left, right).quantize(QUANTUM, context=CONTEXT)


def divide(left: Decimal, right: Decimal) -> Decimal:
    """Divide two amounts and round half-even to the stored scale."""
    return CONTEXT.divide(left, right).quantize(QUANTUM, context=CONTEXT)


def plain(value: Decimal) -> str:
    """Write a decimal without exponent or trailing zeros, losing no digit."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
