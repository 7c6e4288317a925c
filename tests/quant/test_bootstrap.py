"""The stationary bootstrap: automatic blocks as `arch` chooses them, and days drawn fairly."""

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length

from seawall.core.errors import InvalidError
from seawall.quant.bootstrap import block_length, joint_block_length, resample

R = np.random.default_rng(5).standard_t(4, 365) * 0.03


@pytest.mark.parametrize("size", [12, 30, 100, 365])
def test_block_lengths_are_those_of_arch(size: int) -> None:
    walk = np.cumsum(R)[:size]
    for values in (R[:size], R[:size] ** 2, walk, np.convolve(R, [1, 1, 1, 1])[:size]):
        theirs = max(1.0, optimal_block_length(values)["stationary"].iloc[0])
        assert block_length(values) == pytest.approx(theirs, rel=1e-9)


def test_the_longer_of_trends_and_spells_of_volatility_counts() -> None:
    spells = np.sign(R) * np.repeat([0.2, 2.0, 0.2, 2.0, 0.2], 73)
    assert joint_block_length(spells) == block_length(spells * spells) > block_length(spells)


def test_what_does_not_vary_or_is_short_needs_no_blocks() -> None:
    assert block_length(np.full(100, 0.01)) == 1
    assert block_length(R[:9]) == 1
    assert block_length(np.full(100, np.nan)) == 1


def test_days_are_drawn_evenly_in_blocks_of_the_mean_length() -> None:
    picks = resample(365, 5.0)
    assert picks.shape == (1_000, 365)
    counts = np.bincount(picks.ravel(), minlength=365)
    assert counts.size == 365
    # Each day is expected 1000 times; blocks make the count vary a little more than singly.
    assert abs(counts - 1_000).max() < 6 * np.sqrt(1_000)
    goes_on = np.diff(picks, axis=1) % 365 == 1
    assert 1 / (1 - goes_on.mean()) == pytest.approx(5.0, rel=0.03)


def test_the_same_seed_draws_the_same_days_and_another_does_not() -> None:
    np.testing.assert_array_equal(resample(50, 3.0, 10), resample(50, 3.0, 10))
    assert (resample(50, 3.0, 10, seed=1) != resample(50, 3.0, 10, seed=2)).any()
    # SplitMix64 of this seed, computed with exact integers.
    state, picked = 7, []
    for _ in range(4):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        picked.append(((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53)
    first = resample(1_000, 1.0, 1, seed=7)[0]
    # Of each two numbers one decides on a new block, which each day begins, and one which day.
    assert first[0] == int(picked[1] * 1_000)
    assert first[1] == int(picked[3] * 1_000)


@pytest.mark.parametrize(("size", "block", "samples"), [(0, 1.0, 1), (1, 0.5, 1), (1, 1.0, 0)])
def test_samples_of_nothing_are_refused(size: int, block: float, samples: int) -> None:
    with pytest.raises(InvalidError, match="cannot be drawn"):
        resample(size, block, samples)
