"""Kernels compile, whether or not their code can be kept on disk."""

import math
from collections.abc import Callable
from typing import Any

from seawall.quant.kernels.compiled import compiled


def quotient(x: float, y: float) -> float:
    return x / y


def test_division_by_zero_is_as_in_numpy() -> None:
    kernel = compiled(quotient)
    assert kernel(1.0, 0.0) == math.inf
    assert math.isnan(kernel(0.0, 0.0))
    assert kernel(3.0, 2.0) == 1.5


def test_a_kernel_that_cannot_be_kept_still_runs() -> None:
    # Code without a file has no place for a cache, as in an installation that is read-only.
    names: dict[str, Any] = {}
    exec("def double(x):\n    return 2.0 * x", names)  # noqa: S102
    double: Callable[[float], float] = names["double"]
    assert compiled(double)(21.0) == 42.0
