"""What a client would rather have: the headers Accept and Accept-Encoding, with their weights."""

from collections.abc import Sequence
from functools import lru_cache

_LONGEST = 1_000
_KINDS = 256


def _weighed(header: str) -> list[tuple[str, float]]:
    """Read what a header names, in lower case, with its weight; what has no sense has none."""
    found = []
    for part in header[:_LONGEST].lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _weight(value.strip())
        if name:
            found.append((name, weight))
    return found


def _weight(text: str) -> float:
    # RFC 9110 has at most three decimals; float would also read "nan" and "1e9".
    if not text or text.strip("0123456789."):
        return 0.0
    try:
        return min(float(text), 1.0)
    except ValueError:
        return 0.0


@lru_cache(_KINDS)
def best_type(accept: str, offered: Sequence[str]) -> str | None:
    """Choose of the types on offer, the first of equal ones; None when none will do.

    Source: RFC 9110, section 12.5.1; the most specific range that names a type gives its weight.
    """
    weighed = dict(_weighed(accept)) or {"*/*": 1.0}
    best, most = None, 0.0
    for each in offered:
        ranges = (each, f"{each.partition('/')[0]}/*", "*/*")
        weight = next((weighed[name] for name in ranges if name in weighed), 0.0)
        if weight > most:
            best, most = each, weight
    return best


@lru_cache(_KINDS)
def best_coding(accept: str, offered: Sequence[str]) -> str | None:
    """Choose of the codings on offer, the first of equal ones; None is to leave it as it is.

    Source: RFC 9110, section 12.5.3.
    """
    weighed = dict(_weighed(accept))
    rest = weighed.get("*", 0.0)
    # As it is costs nothing, so a coding has to be wanted as much at least where that is weighed.
    best, most = None, weighed.get("identity", 0.0)
    for each in offered:
        weight = weighed.get(each, rest)
        if weight > 0 and (weight > most if best else weight >= most):
            best, most = each, weight
    return best
