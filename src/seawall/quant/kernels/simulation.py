"""Outcomes over several days: windows of history, filtered residuals, assets under a t copula."""

import math

import numpy as np
from numpy.typing import NDArray

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

BLOCK = 128
"""Paths that share one stream of random numbers; so results do not depend on threads."""

TABLE = 4096
"""Intervals of the table of Student's distribution function."""

_State = NDArray[np.uint64]
_LAYERS = 256
_TAIL_START, _LAYER_AREA = 3.6541528853610088, 0.00492867323399


def _ziggurat() -> FloatArray:
    """Cut the normal density into layers of the same area, from the bottom up."""
    edges = np.zeros(_LAYERS + 1)
    edges[0] = _LAYER_AREA / math.exp(-0.5 * _TAIL_START**2)
    edges[1] = _TAIL_START
    for layer in range(2, _LAYERS):
        height = _LAYER_AREA / edges[layer - 1] + math.exp(-0.5 * edges[layer - 1] ** 2)
        edges[layer] = math.sqrt(-2.0 * math.log(height))
    return edges


_EDGES = _ziggurat()


@compiled
def windows(returns: FloatArray, horizon: int) -> FloatArray:
    """Compound every `horizon` consecutive days of (T,) returns.

    What has lost everything stays as it is then.
    """
    outcomes = np.empty(max(returns.size - horizon + 1, 0))
    for start in range(outcomes.size):
        growth = 1.0
        for t in range(start, start + horizon):
            if growth > 0.0:
                growth *= 1.0 + returns[t]
        outcomes[start] = growth - 1.0
    return outcomes


@compiled
def _begin(seed: int, block: int) -> _State:
    """Start the stream of a block, from two numbers that SplitMix64 scatters over the state."""
    state = np.empty(4, dtype=np.uint64)
    z = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + np.uint64(block)
    for i in range(8):
        z += np.uint64(0x9E3779B97F4A7C15)
        mixed = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        if i < 4:  # noqa: PLR2004 -- half the numbers fill, half stir
            state[i] = mixed
        else:
            state[i - 4] ^= mixed
            z ^= mixed
    return state


@compiled
def _bits(state: _State) -> np.uint64:
    """Draw 64 random bits: xoshiro256++.

    Source: Blackman & Vigna (2021), "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47.
    """
    total = state[0] + state[3]
    result: np.uint64 = ((total << np.uint64(23)) | (total >> np.uint64(41))) + state[0]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return result


@compiled
def _uniform(state: _State) -> float:
    """Draw from (0, 1), neither end included."""
    return (float(np.int64(_bits(state) >> np.uint64(11))) + 0.5) * 2.0**-53


@compiled
def _normal(state: _State) -> float:
    """Draw from the standard normal distribution by its ziggurat.

    Source: Marsaglia & Tsang (2000), "The Ziggurat Method for Generating Random Variables", Journal
    of Statistical Software 5(8), with the bits of Doornik (2005).
    """
    while True:
        bits = _bits(state)
        layer = np.int64(bits & np.uint64(255))
        x = (float(np.int64(bits >> np.uint64(11))) * 2.0**-52 - 1.0) * _EDGES[layer]
        if abs(x) < _EDGES[layer + 1]:
            return float(x)
        if layer == 0:
            while True:
                beyond = -math.log(_uniform(state)) / _TAIL_START
                if -2.0 * math.log(_uniform(state)) > beyond * beyond:
                    break
            return _TAIL_START + beyond if x > 0.0 else -_TAIL_START - beyond
        low = math.exp(-0.5 * (_EDGES[layer] * _EDGES[layer] - x * x))
        high = math.exp(-0.5 * (_EDGES[layer + 1] * _EDGES[layer + 1] - x * x))
        if high + _uniform(state) * (low - high) < 1.0:
            return float(x)


@compiled
def _chi_square(state: _State, degrees: float) -> float:
    """Draw from the chi-square distribution with at least 2 degrees of freedom.

    Source: Marsaglia & Tsang (2000), "A Simple Method for Generating Gamma Variables", ACM TOMS 26.
    """
    d = 0.5 * degrees - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = _normal(state)
        root = 1.0 + c * x
        if root > 0.0:
            cube = root * root * root
            if math.log(_uniform(state)) < 0.5 * x * x + d * (1.0 - cube + math.log(cube)):
                return 2.0 * d * cube


@compiled
def draw(seed: int, block: int, degrees: float, count: int) -> FloatArray:
    """Draw (count, 3) numbers from a block's stream: uniform, normal and chi-square, by turns."""
    state, drawn = _begin(seed, block), np.empty((count, 3))
    for i in range(count):
        drawn[i, 0] = _uniform(state)
        drawn[i, 1] = _normal(state)
        drawn[i, 2] = _chi_square(state, degrees)
    return drawn


@compiled
def filtered_paths(
    residuals: FloatArray, model: FloatArray, horizon: int, paths: int, seed: int
) -> FloatArray:
    """Compound days whose standardised shocks are drawn from (T,) residuals.

    `model` holds mean, omega, alpha, beta and the first day's variance. (paths,) returns; what has
    lost everything stays as it is then.
    """
    mean, omega, alpha, beta = model[0], model[1], model[2], model[3]
    outcomes, state = np.empty(paths), _begin(seed, 0)
    for path in range(paths):
        if path % BLOCK == 0:
            state = _begin(seed, path // BLOCK)
        variance, growth = model[4], 1.0
        for _ in range(horizon):
            which = int(_uniform(state) * residuals.size)
            shock = math.sqrt(variance) * residuals[which]
            if growth > 0.0:
                growth *= 1.0 + mean + shock
            variance = omega + alpha * shock * shock + beta * variance
        outcomes[path] = growth - 1.0
    return outcomes


@compiled
def _fill_normals(state: _State, shocks: FloatArray) -> None:
    """Fill (N, B) with what `_normal` draws, with the state at hand instead of in memory."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(shocks.shape[0]):
        for b in range(shocks.shape[1]):
            total = s0 + s3
            bits = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
            layer = np.int64(bits & np.uint64(255))
            x = (float(np.int64(bits >> np.uint64(11))) * 2.0**-52 - 1.0) * _EDGES[layer]
            if abs(x) >= _EDGES[layer + 1]:
                # One in a hundred is decided the long way, from where this one began.
                state[0], state[1], state[2], state[3] = s0, s1, s2, s3
                shocks[i, b] = _normal(state)
                s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
                continue
            shocks[i, b] = x
            shifted = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= shifted
            s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@compiled
def _mix(factor: FloatArray, shocks: FloatArray, i: int, spread: FloatArray) -> FloatArray:
    """Make asset i's shocks of (N, B) independent ones, as places in the distribution's table."""
    places = np.zeros(shocks.shape[1])
    for k in range(i + 1):
        load = factor[i, k]
        for b in range(places.size):
            places[b] += load * shocks[k, b]
    for b in range(places.size):
        y = places[b] * spread[b]
        places[b] = (y / (1.0 + abs(y)) + 1.0) * (0.5 * TABLE)
    return places


@compiled
def _earn(places: FloatArray, table: FloatArray, ordered: FloatArray, day: FloatArray) -> None:
    """Add to each path's day what an asset returns at its place: its quantile there."""
    top = ordered.size - 1
    for b in range(places.size):
        node = min(int(places[b]), TABLE - 1)
        low = table[node]
        rank = (low + (table[node + 1] - low) * (places[b] - node)) * top
        whole = min(int(rank), top - 1)
        day[b] += ordered[whole] + (ordered[whole + 1] - ordered[whole]) * (rank - whole)


@compiled
def copula_paths(
    ordered: FloatArray,
    factor: FloatArray,
    table: FloatArray,
    degrees: float,
    still: float,
    blocks: tuple[int, int, int, int],
    outcomes: FloatArray,
) -> None:
    """Simulate blocks of paths of a portfolio whose assets depend on each other by a t copula.

    `ordered` (N, T) holds what each asset adds to the portfolio's return, upwards; on a day it is
    an interpolated quantile of these. `factor` (N, N) is the lower root of the correlations, and
    `table` Student's distribution function, with `degrees` of freedom, over y / (1 + |y|). `still`
    is added every day. `blocks` are the seed, the horizon, the first block and the one after the
    last, of which `outcomes` (paths,) is filled; what has lost everything stays as it is then.
    """
    seed, horizon, first, last = blocks
    shocks = np.empty((ordered.shape[0], BLOCK))
    spread, growth, day = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for block in range(first, last):
        state = _begin(seed, block)
        growth.fill(1.0)
        for _ in range(horizon):
            for b in range(BLOCK):
                spread[b] = math.sqrt(degrees / _chi_square(state, degrees))
                day[b] = still
            _fill_normals(state, shocks)
            for i in range(ordered.shape[0]):
                _earn(_mix(factor, shocks, i, spread), table, ordered[i], day)
            for b in range(BLOCK):
                growth[b] *= 1.0 + day[b] if growth[b] > 0.0 else 1.0
        begin = block * BLOCK
        for b in range(min(BLOCK, outcomes.size - begin)):
            outcomes[begin + b] = growth[b] - 1.0
