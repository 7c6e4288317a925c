"""What a notebook gets of `import seawall as sw`."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

import seawall as sw
from seawall.core.errors import InvalidError, NotFoundError
from seawall.notebook import risk
from seawall.quant.metrics.measure_all import measure_all
from seawall.quant.metrics.metric import Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark

RANDOM = np.random.default_rng(7)
MARKET = RANDOM.normal(0.001, 0.02, 120)
ASSETS = MARKET[:, None] * [1.0, 0.5] + RANDOM.normal(0, 0.01, (120, 2))
WEIGHTS = np.array([0.7, 0.3])


def test_the_package_of_risk_is_what_is_called() -> None:
    found = sw.risk(MARKET)
    assert found["volatility"] == pytest.approx(MARKET.std(ddof=1) * math.sqrt(365))
    assert found.observations == 120
    assert "beta" not in found
    assert len(found) == len(list(found)) > 40


def test_the_figures_are_a_report_s() -> None:
    found = risk(ASSETS, weights=WEIGHTS, benchmark=MARKET)
    every = np.arange(120)
    beside = {Input.BENCHMARK: Benchmark(MARKET, every, every + 1)}
    expected = measure_all(WEIGHTS, np.ascontiguousarray(ASSETS), beside)
    for slug in found:
        assert found[slug] == pytest.approx(expected[slug].value, nan_ok=True, rel=1e-12)
    slope = np.cov(ASSETS @ WEIGHTS, MARKET)
    assert found["beta"] == pytest.approx(slope[0, 1] / slope[1, 1])


def test_frames_of_any_kind_are_the_same_returns() -> None:
    plain = risk(ASSETS, weights=WEIGHTS)
    by_name = {"b": 0.3, "a": 0.7}
    frame = pd.DataFrame(ASSETS, columns=["a", "b"])
    for given in (frame, pl.from_pandas(frame), frame.to_numpy().tolist()):
        weights = WEIGHTS if isinstance(given, list) else by_name
        found = risk(given, weights=weights)
        assert [found[slug] for slug in found] == pytest.approx(
            [plain[slug] for slug in plain], nan_ok=True
        )


def test_a_day_without_a_return_is_left_out_and_counted() -> None:
    gappy = ASSETS.copy()
    gappy[[3, 50], [0, 1]] = np.nan
    kept = np.delete(ASSETS, [3, 50], axis=0)
    found = risk(gappy, weights=WEIGHTS, benchmark=MARKET)
    assert (found.observations, found.missing) == (118, 2)
    expected = risk(kept, weights=WEIGHTS, benchmark=np.delete(MARKET, [3, 50]))
    assert found["beta"] == pytest.approx(expected["beta"])
    assert "2 left out" in str(found)
    market = MARKET.copy()
    market[10] = np.nan
    beside = risk(ASSETS, weights=WEIGHTS, benchmark=market)
    assert beside.observations == 120
    slope = np.cov(np.delete(ASSETS @ WEIGHTS, 10), np.delete(MARKET, 10))
    assert beside["beta"] == pytest.approx(slope[0, 1] / slope[1, 1])


def test_an_undefined_figure_says_why() -> None:
    found = risk(MARKET[:2])
    assert math.isnan(found["kurtosis"])
    assert found.why("kurtosis") == "needs at least 4 observations, has 2"
    assert found.why("volatility") == ""
    with pytest.raises(NotFoundError, match="no figure 'sharp'"):
        found.why("sharp")
    rows = {row["slug"]: row for row in found.to_frame().to_dicts()}
    assert rows["kurtosis"]["value"] is None
    assert rows["kurtosis"]["reason"]
    assert rows["volatility"]["value"] == found["volatility"]
    assert "Excess kurtosis" in found._repr_html_()


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (ASSETS, {}, "2 assets need weights"),
        (ASSETS, {"weights": [1.0]}, "as many finite weights"),
        (ASSETS, {"weights": [1.0, math.nan]}, "as many finite weights"),
        (ASSETS, {"weights": {"a": 1.0}}, r"weights are of \['a'\]"),
        (ASSETS[None], {}, "not of shape"),
        ([0.1, math.inf], {}, "infinite"),
        (["a", "b"], {}, "not numbers"),
        (MARKET, {"benchmark": MARKET[1:]}, "119 returns, and the portfolio 120"),
        (MARKET, {"risk_free": -1.0}, "not above -1"),
        (
            pd.Series(MARKET, pd.date_range("2024-01-01", periods=120)),
            {"benchmark": pd.Series(MARKET, pd.date_range("2024-01-02", periods=120))},
            "other days",
        ),
    ],
)
def test_what_does_not_fit_is_said(given: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        risk(given, **options)  # type: ignore[arg-type]


def test_prices_become_returns() -> None:
    assert sw.returns([100.0, 110.0, 99.0]) == pytest.approx([0.1, -0.1])
    found = sw.returns(pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, None]}))
    assert found[0, 0] == 1.0
    assert math.isnan(found[0, 1])


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import seawall, sys; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "'numpy'" not in said
    assert set(dir(sw)) >= {"METRICS", "Risk", "returns", "risk"}
    assert sw.METRICS is REGISTRY
    with pytest.raises(AttributeError, match="no attribute 'riks'"):
        _ = sw.riks
