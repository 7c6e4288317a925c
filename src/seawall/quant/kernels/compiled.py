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
    try:
        return _compile(function, cache=True)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written to.
        return _compile(function, cache=False)


def _compile(function: Callable[P, R], *, cache: bool) -> Callable[P, R]:
    kernel = numba.njit(cache=cache, nogil=True, error_model="numpy")(function)
    return cast(Callable[P, R], kernel)
