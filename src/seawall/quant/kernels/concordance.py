"""Whether assets go the same way, counted over all pairs of days."""

import numpy as np
from numpy.typing import NDArray

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

Words = NDArray[np.uint64]
_WORD, _SHIFT = 64, 6


@compiled
def _count(bits: np.uint64) -> int:
    """Count the bits that are set; the compiler knows this pattern as one instruction."""
    bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (
        (bits >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int(np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)))


@compiled
def _pack(column: FloatArray, day: int, rises: Words, falls: Words) -> None:
    """Set a bit for each later day that is above, and one for each that is below."""
    rises.fill(0)
    falls.fill(0)
    for later in range(day + 1, column.size):
        place = later - day - 1
        word, bit = place >> _SHIFT, np.uint64(1) << np.uint64(place & (_WORD - 1))
        if column[later] > column[day]:
            rises[word] |= bit
        elif column[later] < column[day]:
            falls[word] |= bit


@compiled
def sign_products(columns: FloatArray) -> FloatArray:
    """Sum the products of the signs of the changes of (N, T) values between all pairs of days.

    (N, N): its diagonal counts the pairs of days that are not tied.
    """
    assets, days = columns.shape
    products = np.zeros((assets, assets))
    words = (days + _WORD - 1) // _WORD
    rises = np.zeros((assets, words), dtype=np.uint64)
    falls = np.zeros((assets, words), dtype=np.uint64)
    for day in range(days - 1):
        for i in range(assets):
            _pack(columns[i], day, rises[i], falls[i])
        for i in range(assets):
            for j in range(i + 1):
                total = 0
                for word in range((days - day - 2) // _WORD + 1):
                    total += _count(rises[i, word] & rises[j, word])
                    total += _count(falls[i, word] & falls[j, word])
                    total -= _count(rises[i, word] & falls[j, word])
                    total -= _count(falls[i, word] & rises[j, word])
                products[i, j] += total
    for i in range(assets):
        for j in range(i):
            products[j, i] = products[i, j]
    return products
