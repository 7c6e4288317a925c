"""Long series as columns: written as JSON, as an Arrow stream or as CSV, whichever is wanted.

Arrays are written as arrays: a month of minutes is 43,200 candles, of which no Python object each
is made. What is unknown is null in JSON and Arrow, and empty in CSV.
"""

import asyncio
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from fastapi import Request, Response
from numpy.typing import NDArray

from seawall.api.errors import NotAcceptableError
from seawall.api.negotiation import best_type
from seawall.db.bulk import Column, Records

JSON, ARROW, CSV = "application/json", "application/vnd.apache.arrow.stream", "text/csv"
TYPES = (JSON, ARROW, CSV)
OTHERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            ARROW: {"schema": {"type": "string", "format": "binary"}},
            CSV: {"schema": {"type": "string"}},
        }
    }
}
"""What the schema says of the types besides JSON."""
_WRITTEN = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of which some columns are shown, and what JSON says besides."""

    records: Records
    shown: Sequence[Column]
    about: Mapping[str, Any]
    link: str | None = None
    """The address of what comes after, for the header Link."""
    name: str = field(default="columns")


def choose(request: Request) -> str:
    """Return the type that an answer is wanted in.

    Raises:
        NotAcceptableError: in none of those that there are.
    """
    accept = ",".join(request.headers.getlist("accept"))
    found = best_type(accept, TYPES)
    if found is None:
        raise NotAcceptableError(
            f"This is not to be had as {accept[:200]!r}.", hint=f"There are {', '.join(TYPES)}."
        )
    return found


async def write(columns: Columns, kind: str) -> Response:
    """Write rows in one of the `TYPES`."""
    if kind == JSON:
        content = _json(columns)
    elif kind == ARROW and "polars" in sys.modules:
        content = _framed(columns, kind)
    else:
        # polars is slow to load, and to write text; others are answered meanwhile.
        content = await asyncio.to_thread(_framed, columns, kind)
    headers = {"Vary": "Accept", "Cache-Control": "private, no-cache"}
    if columns.link is not None:
        headers["Link"] = f'<{columns.link}>; rel="next"'
    return Response(content, headers=headers, media_type=kind)


def _json(columns: Columns) -> bytes:
    shown = {each.name: _listed(columns.records[each.name], each) for each in columns.shown}
    return orjson.dumps({**columns.about, columns.name: shown}, option=_WRITTEN)


def _listed(values: NDArray[Any], column: Column) -> Any:
    """Return values as orjson writes them: NaN as null, but for integers only None is that."""
    if column.null is None or column.dtype == "<f8":
        return np.ascontiguousarray(values)
    missing = values == column.null
    if not missing.any():
        return np.ascontiguousarray(values)
    found = values.astype(object)
    found[missing] = None
    return found.tolist()


def _framed(columns: Columns, kind: str) -> bytes:
    import polars as pl  # noqa: PLC0415 - it is slow to load, and seldom wanted

    series = []
    for each in columns.shown:
        values = np.ascontiguousarray(columns.records[each.name])
        if each.dtype.startswith("<M8"):
            # Saying the zone of instants costs polars more than all the rest.
            series.append(pl.Series(each.name, values.view("<i8")).cast(pl.Datetime("us", "UTC")))
            continue
        made = pl.Series(each.name, values, nan_to_null=each.null is not None)
        if each.null is not None and each.dtype != "<f8" and (values == each.null).any():
            made = made.set(made == each.null, None)
        series.append(made)
    frame, out = pl.DataFrame(series), io.BytesIO()
    if kind == ARROW:
        frame.write_ipc_stream(out)
    else:
        frame.write_csv(out, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
    return out.getvalue()
