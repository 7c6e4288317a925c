"""What is left to skfolio: weights within bounds, and a plain word when it is missing."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from seawall.core.errors import InvalidError, UnavailableError
from seawall.quant.optimise.constraints import long_only
from seawall.quant.optimise.peers import PeerMethod, optimise_with_skfolio
from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


@pytest.mark.parametrize("method", PeerMethod)
def test_weights_sum_to_one(market: Market, method: PeerMethod) -> None:
    found = optimise_with_skfolio(method, market(assets=5), long_only(5))
    assert found.sum() == pytest.approx(1)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_highest_sharpe_ratio_is_beaten_by_no_other(market: Market) -> None:
    returns = market(assets=5)
    found = optimise_with_skfolio(PeerMethod.MAX_SHARPE, returns, long_only(5))
    means, matrix = returns.mean(axis=0), np.cov(returns.T)
    best = found @ means / np.sqrt(found @ matrix @ found)
    for other in np.random.default_rng(0).dirichlet(np.ones(5), 200):
        assert other @ means / np.sqrt(other @ matrix @ other) <= best + 1e-6


def test_without_skfolio_it_says_what_to_install(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python itself does where a package is not there.
    monkeypatch.setitem(sys.modules, "skfolio.optimization", None)
    with pytest.raises(UnavailableError, match=r"seawall\[portfolio\]"):
        optimise_with_skfolio(PeerMethod.MAX_SHARPE, market(assets=3), long_only(3))


def test_what_it_cannot_do_is_refused(market: Market) -> None:
    returns = market(assets=3)
    limits = replace(long_only(3), least_mean=0.0)
    with pytest.raises(InvalidError, match="bounds of each weight alone"):
        optimise_with_skfolio(PeerMethod.MAX_SHARPE, returns, limits)
    with pytest.raises(InvalidError, match="no bounds"):
        optimise_with_skfolio(PeerMethod.NESTED_CLUSTERS, returns, long_only(3, 0.5))
    returns[0, 0] = np.nan
    with pytest.raises(InvalidError, match="complete"):
        optimise_with_skfolio(PeerMethod.MAX_SHARPE, returns, long_only(3))
