"""What counts as a vector."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.types import as_vector


@pytest.mark.parametrize(
    "values", [[1, 2], (1.0, 2.0), np.arange(1, 5, dtype=np.int32)[:2], pd.Series([1, 2])]
)
def test_anything_one_dimensional_becomes_contiguous_floats(values: Any) -> None:
    vector = as_vector(values)
    assert vector.dtype == np.float64
    assert vector.flags.c_contiguous
    assert vector.tolist() == [1, 2]


def test_a_stride_is_made_contiguous() -> None:
    assert as_vector(np.arange(10.0)[::3]).flags.c_contiguous


@pytest.mark.parametrize("values", [3.0, [[1.0, 2.0]]])
def test_other_shapes_are_refused(values: Any) -> None:
    with pytest.raises(InvalidError, match="vector"):
        as_vector(values)
