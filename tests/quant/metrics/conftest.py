"""Returns that look like a market's."""

import numpy as np
import pytest

from seawall.quant.types import FloatArray


@pytest.fixture
def market() -> FloatArray:
    """(365, 6) daily returns with fat tails and a common factor; the last asset is a stablecoin."""
    rng = np.random.default_rng(11)
    common = rng.standard_t(4, (365, 1)) * 0.02
    own = rng.standard_t(4, (365, 6)) * 0.015
    returns = 0.001 + common + own
    returns[:, 5] = 0.0
    return returns
