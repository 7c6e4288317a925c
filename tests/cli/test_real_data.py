"""The whole way on real prices: every file is taken, and the coverage is what pandas counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

AS_OF = "2024-12-31"
ROWS = (
    "2023-01-02,deposit,USD,100000,,,",
    "2023-01-03,buy,BTC,1.2,16700,15,",
    "2023-01-03,buy,ETH,12,1215,10,",
    "2023-02-01,buy,SOL,300,24,5,",
    "2023-03-01,buy,LINK,900,7.1,5,",
)
TIMES = ("open_time", "Date", "timestamp")


def _count(path: Path) -> tuple[int, str, str]:
    """Count a file's rows, and its first and last day, without Seawall."""
    table = pd.read_csv(path)
    column = next(name for name in TIMES if name in table)
    days = pd.to_datetime(table[column], utc=True).dt.floor("D")
    # A close of an index is known when its day is over.
    shift = pd.Timedelta(days=1 if path.parent.name == "reference" else 0)
    first, last = days.min() + shift, days.max() + shift
    return len(days.unique()), f"{first:%Y-%m-%dT%H:%M:%SZ}", f"{last:%Y-%m-%dT%H:%M:%SZ}"


def test_every_file_is_taken_and_a_portfolio_is_measured(
    cli: Callable[..., Any], real_data: Path, portfolio: Callable[..., Any]
) -> None:
    files = sorted([*real_data.glob("daily/*"), *real_data.glob("reference/*")])
    assert files
    done = cli("market", "import", *files, "--json")
    assert done.code == 0, done.document
    assert done.document["failed"] == []
    results = {Path(each["path"]): each for each in done.document["files"]}
    assert set(results) == set(files)
    assert all(each["rejected"] == [] for each in results.values())

    series = cli("market", "coverage", "--json").document["series"]
    assert len(series) == len(files)
    held = {
        (each["exchange"], each["symbol"], each["timeframe"]): (
            each["rows"],
            each["first_time"],
            each["last_time"],
        )
        for each in series
    }
    for path, result in results.items():
        key = (result["exchange"], result["symbol"], result["timeframe"])
        assert held[key] == _count(path), path.name

    portfolio(*ROWS)
    report = cli("risk", "report", "Main", "--as-of", AS_OF, "--json")
    assert report.code == 0
    found = report.document
    assert (found["observations"], found["missing"]) == (365, 0)
    assert found["reasons"] == {"correlation_matrix": "no variance in USD"}
    assert {each["asset"] for each in found["holdings"]} == {"USD", "BTC", "ETH", "SOL", "LINK"}
    assert all(each["price_age_seconds"] == 0 for each in found["holdings"])
    assert any("USDT, which is taken as USD" in note for note in found["notes"])
    shown = cli("portfolio", "show", "Main", "--as-of", AS_OF)
    assert shown.code == 0
    assert "Main as of 2024-12-31 UTC" in shown.out
    assert cli("risk", "report", "Main", "--as-of", AS_OF).code == 0
