"""Linear programs, solved by HiGHS."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_array

from seawall.quant.types import FloatArray


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """Minimise `cost` (M,) times x, where `rows` (K, M) times x is at most `most` (K,).

    Besides, `whole` (M,) times x is 1, and x is between the columns of `bounds` (M, 2).
    """

    cost: FloatArray
    rows: FloatArray | csr_array
    most: FloatArray
    whole: FloatArray | None
    bounds: FloatArray


def solve_linear(program: LinearProgram) -> FloatArray | None:
    """Return an optimal x (M,); None when there is none."""
    from scipy.optimize import linprog  # noqa: PLC0415 - slow to import

    whole = program.whole
    # Its types name neither sparse matrices nor arrays of bounds, both of which it takes.
    found = cast(Any, linprog)(
        program.cost,
        A_ub=program.rows if len(program.most) else None,
        b_ub=program.most if len(program.most) else None,
        A_eq=None if whole is None else csr_array(whole[np.newaxis]),
        b_eq=None if whole is None else [1.0],
        bounds=program.bounds,
        method="highs",
    )
    return None if found.x is None else np.asarray(found.x, dtype=np.float64)
