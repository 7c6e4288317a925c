"""The one way in which kernels are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel at its first call, and keep the machine code on disk where possible.

    The GIL is released while it runs. Division by zero gives infinity or NaN, as in numpy. Without
    fast mathematics: the same input gives the same bits on every machine.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written to.
        kernel = numba.njit(**options)(function)
    return cast(Callable[P, R], kernel)
