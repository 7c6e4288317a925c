"""Decodes Arrow or Parquet from standard input in a process of its own.

Damage to such a file can end the process that decodes it, when a length that it claims is
allocated: no exception can be caught then. So the importing process starts this one, and reads
from it the table written anew.
"""

import io
import sys
from typing import BinaryIO

import polars as pl

REFUSED = 3
"""The exit status when the last line of standard error says why the file is refused."""

_READERS = {"arrow": pl.read_ipc, "parquet": pl.read_parquet}


def decode(data: bytes, container: str, rows: int, to: BinaryIO) -> None:
    """Write at most as many rows anew, as Arrow."""
    _READERS[container](io.BytesIO(data), n_rows=rows).write_ipc(to)


def main() -> int:
    """Decode at most as many rows as the second argument says; the first is the container."""
    container, rows = sys.argv[1:]
    try:
        decode(sys.stdin.buffer.read(), container, int(rows), sys.stdout.buffer)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        sys.stderr.write("\n" + str(error).partition("\n")[0])
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
