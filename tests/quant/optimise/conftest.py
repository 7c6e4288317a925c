"""Made-up markets to choose weights in."""

from collections.abc import Callable

import numpy as np
import pytest

from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


@pytest.fixture
def market() -> Market:
    """Draw (T, N) returns with a common factor."""

    def make(days: int = 365, assets: int = 12, seed: int = 0) -> FloatArray:
        random = np.random.default_rng(seed)
        common = random.normal(0, 0.03, (days, 1)) * random.uniform(0.5, 1.5, assets)
        own = random.normal(0.0005, 1, (days, assets)) * random.uniform(0.005, 0.04, assets)
        return common + own

    return make
