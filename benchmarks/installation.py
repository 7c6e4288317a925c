"""A throw-away installation for benchmarks: a durable server in a temporary home."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seawall.core.settings import Settings
from seawall.db import database
from seawall.db.database import Location
from seawall.market.schemas import CANDLE_DTYPE

ROWS = 1_000_000


@contextmanager
def installation() -> Iterator[Location]:
    """Start a server in a new home, migrate it, and throw both away at the end."""
    home = Path(tempfile.mkdtemp(prefix="seawall-benchmark-"))
    settings = Settings(home=home)
    try:
        location = database.locate(settings)
        asyncio.run(database.prepare(location))
        yield location
    finally:
        database.embedded_server(settings).stop()
        pointer = home / "postgres.location"
        if pointer.exists():
            shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def candles(rows: int = ROWS) -> NDArray[np.void]:
    """Make up one-minute candles: a seeded random walk with volumes."""
    random = np.random.default_rng(1)
    close = np.round(30_000 * np.exp(np.cumsum(random.normal(0, 0.0005, rows))), 2)
    made = np.zeros(rows, CANDLE_DTYPE)
    made["time"] = np.datetime64("2021-01-01", "us") + np.arange(rows) * np.timedelta64(60, "s")
    made["close"] = close
    made["open"] = np.concatenate([[30_000.0], close[:-1]])
    spread = np.round(random.exponential(3.0, rows), 2)
    made["high"] = np.round(np.maximum(made["open"], close) + spread, 2)
    made["low"] = np.round(np.minimum(made["open"], close) - spread, 2)
    made["volume"] = np.round(random.exponential(20.0, rows), 5)
    made["quote_volume"] = np.round(made["volume"] * close, 4)
    made["trade_count"] = random.poisson(400, rows)
    return made
