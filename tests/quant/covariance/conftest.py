"""Made-up returns with a common factor, as crypto has it."""

from collections.abc import Callable

import numpy as np
import pytest

from seawall.quant.histories import History, HistoryMethod, build_history
from seawall.quant.types import FloatArray

Draw = Callable[..., FloatArray]


@pytest.fixture
def draw() -> Draw:
    """Draw (T, N) returns."""

    def make(days: int, assets: int, seed: int = 0) -> FloatArray:
        random = np.random.default_rng(seed)
        market = random.normal(0, 0.03, (days, 1)) * random.uniform(0.5, 1.5, assets)
        own = random.normal(0, 1, (days, assets)) * random.uniform(0.005, 0.04, assets)
        return market + own

    return make


@pytest.fixture
def history(draw: Draw) -> Callable[..., History]:
    """Make a history of drawn returns, or of those given."""

    def make(
        days: int = 90,
        assets: int = 50,
        *,
        seed: int = 0,
        returns: FloatArray | None = None,
        method: HistoryMethod = HistoryMethod.COMMON,
    ) -> History:
        chosen = draw(days, assets, seed) if returns is None else returns
        closes = np.vstack([np.ones(chosen.shape[1]), np.cumprod(1 + chosen, axis=0)])
        names = [f"A{at}" for at in range(chosen.shape[1])]
        return build_history(names, closes, method)

    return make
