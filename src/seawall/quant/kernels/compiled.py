"""The one way in which kernels are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel at its first call, and keep the machine code on disk.

    The GIL is released while it runs. Division by zero gives infinity or NaN, as in numpy. Without
    fast mathematics: the same input gives the same bits on every machine.
    """
    compile_ = numba.njit(cache=True, nogil=True, error_model="numpy")
    return cast(Callable[P, R], compile_(function))
