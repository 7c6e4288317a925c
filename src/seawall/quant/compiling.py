"""Compiling the kernels before they are asked for: their machine code stays on disk for everybody.

A process that measures for the first time on a machine would compile for half a minute.
"""

import os
import threading

import numpy as np

from seawall.quant.metrics.dependence import correlation_matrix
from seawall.quant.metrics.figures import lay_out
from seawall.quant.metrics.measure_all import measure_all
from seawall.quant.metrics.metric import Input
from seawall.quant.returns import Benchmark
from seawall.quant.tails import TailMethod, TailQuestion, tail_risk
from seawall.quant.windows import measure_windows

DAYS, ASSETS = 120, 3


def compile_kernels() -> None:
    """Measure made-up returns in every way, which compiles what is not on disk yet."""
    random = np.random.default_rng(0)
    returns = random.normal(0.001, 0.02, (DAYS, ASSETS))
    weights = np.full(ASSETS, 1 / ASSETS)
    days = np.arange(DAYS)
    benchmark = Benchmark(random.normal(0.001, 0.02, DAYS), days, days + 1)
    measure_all(weights, returns, {Input.BENCHMARK: benchmark})
    lay_out(returns, [benchmark, None, None], 0.95).measure_one(weights)
    correlation_matrix(returns)
    for method in TailMethod:
        tail_risk(weights, returns, TailQuestion(method, horizon=2, paths=100))
    measure_windows(returns[:, 0], [benchmark, None, None], np.array([DAYS]), DAYS)


def _end_with_input() -> None:
    # Of the file itself: what Python reads by is locked meanwhile, and it could not end.
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    # Whoever started this may die without a word; what it has given as input is closed then.
    threading.Thread(target=_end_with_input, daemon=True).start()
    compile_kernels()
