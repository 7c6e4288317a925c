"""Resampling days in blocks, with random numbers that are the same on every machine."""

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import IntArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BY_30, _BY_27, _BY_31, _BY_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@compiled
def uniform(state: np.uint64) -> float:
    """Mix a state of SplitMix64 into a number in [0, 1).

    Source: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators".
    """
    mixed = (state ^ (state >> _BY_30)) * _FIRST
    mixed = (mixed ^ (mixed >> _BY_27)) * _SECOND
    return float((mixed ^ (mixed >> _BY_31)) >> _BY_11) * 2.0**-53


@compiled
def stationary(size: int, samples: int, block: float, seed: int) -> IntArray:
    """Draw (samples, size) indices of `size` days, in blocks of geometric length around the end.

    `block` is the mean length, at least 1. Source: Politis & Romano (1994), "The Stationary
    Bootstrap".
    """
    picks = np.empty((samples, size), dtype=np.int64)
    state = np.uint64(seed)
    for sample in range(samples):
        at = 0
        for t in range(size):
            state += _STEP
            begins = t == 0 or uniform(state) * block < 1.0
            if begins:
                state += _STEP
                at = min(int(uniform(state) * size), size - 1)
            else:
                at = at + 1 if at + 1 < size else 0
            picks[sample, t] = at
    return picks
