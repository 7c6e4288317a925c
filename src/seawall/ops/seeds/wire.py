"""Numbers that look random and follow from an index, and values as COPY takes them."""

import numpy as np
from numpy.typing import NDArray

from seawall.quant.types import FloatArray, IntArray

Wire = NDArray[np.void]
UUID, NUMERIC = "V16", "V18"
"""The types of a UUID and of an amount in a bulk transfer, as they are on the wire."""
NUMERIC_SCALE = 8
"""Digits after the point of an amount that `numeric` writes."""

_SECOND_HALF = 1 << 32
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_GROUPS, _WHOLE_GROUPS, _GROUP = 5, 3, 10_000


def scatter(index: IntArray, stream: int) -> NDArray[np.uint64]:
    """Return 64 bits for each index; every stream has others.

    What is made of them is the same in whatever portions it is made.
    Source: SplitMix64 of Steele, Lea, Flood (2014), "Fast splittable pseudorandom number
    generators", OOPSLA.
    """
    seed = _mixed(np.full(1, stream, np.uint64) * _GOLDEN)
    return _mixed(seed + (index.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIXERS:
        bits = (bits ^ (bits >> shift)) * factor
    return bits ^ (bits >> np.uint64(31))


def uniform(index: IntArray, stream: int) -> FloatArray:
    """Return a number from [0, 1) for each index."""
    return (scatter(index, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uuids(index: IntArray, stream: int) -> Wire:
    """Return a random-looking UUID (version 4) for each index."""
    halves = np.stack([scatter(index, stream), scatter(index, stream + _SECOND_HALF)], axis=-1)
    octets = halves.astype(">u8").view(np.uint8).reshape(-1, 16)
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    return octets.view(UUID).reshape(index.shape)


def numeric(units: IntArray) -> Wire:
    """Write amounts, given in units of 1e-8 and not negative, as NUMERIC travels.

    Source: PostgreSQL, src/backend/utils/adt/numeric.c, numeric_recv: the number of groups of four
    digits, the weight of the first, the sign, the scale, and the groups.
    """
    wire = np.empty(units.shape, [("head", ">i2", 4), ("groups", ">i2", _GROUPS)])
    wire["head"] = (_GROUPS, _WHOLE_GROUPS - 1, 0, NUMERIC_SCALE)
    rest = units
    for group in reversed(range(_GROUPS)):
        rest, wire["groups"][..., group] = np.divmod(rest, _GROUP)
    return wire.view(NUMERIC)
