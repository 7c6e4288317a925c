"""Test the value at risk of every method on real daily prices, and write how it went.

python -m scripts.var_coverage ../shared/data/daily
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from seawall.quant.coverage import Coverage, measure_coverage
from seawall.quant.returns import simple_returns
from seawall.quant.tails import TailMethod, TailQuestion, tail_risk
from seawall.quant.types import FloatArray

PAGE = Path(__file__).parents[1] / "docs" / "var-coverage.md"
BEGIN, END = "<!-- written by scripts/var_coverage.py -->", "<!-- end -->"
WINDOW, PATHS = 365, 10_000
CONFIDENCES = (0.95, 0.99)
LEVEL = 0.05
_HEADING = (
    "| series | method | days | refused | beyond | expected | Kupiec p | independence p |"
    " conditional p |"
)
SINGLE = tuple(method for method in TailMethod if method is not TailMethod.COPULA)
"""Of one asset the copula gives its history."""

FILES = {
    "BTC, Coinbase": "BTCUSD-coinbase-1d.csv",
    "BTC, Yahoo": "BTC-USD.yahoo.csv",
    "ETH, Yahoo": "ETH-USD.yahoo.csv",
    "BNB, Yahoo": "BNB-USD.yahoo.csv",
    "SOL, Yahoo": "SOL-USD.yahoo.csv",
    "XRP, Binance": "XRPUSDT-1d.csv",
    "ADA, Binance": "ADAUSDT-1d.csv",
    "LTC, Binance": "LTCUSDT-1d.csv",
    "LINK, Binance": "LINKUSDT-1d.csv",
    "AVAX, Binance": "AVAXUSDT-1d.csv",
}
PORTFOLIOS = {
    "equal BTC, ETH, BNB": ("BTC, Yahoo", "ETH, Yahoo", "BNB, Yahoo"),
    "equal XRP, ADA, LTC, LINK, AVAX": tuple(each for each in FILES if "Binance" in each),
}
CHECKED = (
    ("AVAX, Binance", TailMethod.HISTORICAL, 0.95),
    ("XRP, Binance", TailMethod.CORNISH_FISHER, 0.99),
    ("SOL, Yahoo", TailMethod.GAUSSIAN, 0.99),
    ("SOL, Yahoo", TailMethod.FILTERED, 0.95),
    ("equal XRP, ADA, LTC, LINK, AVAX", TailMethod.FILTERED_EWMA, 0.99),
)
"""What is computed again in seconds, to see whether the page is still true."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """How one method did on one series at one confidence.

    `refused` counts the days without a figure, which are not tested.
    """

    series: str
    method: TailMethod
    confidence: float
    coverage: Coverage
    refused: int


def read_returns(folder: Path, names: tuple[str, ...]) -> FloatArray:
    """Read (T, N) returns of the days on which all have one, and had a close the day before."""
    columns = []
    for name in names:
        frame = pd.read_csv(folder / FILES[name])
        frame.columns = [column.lower() for column in frame.columns]
        time = next(each for each in ("open_time", "date", "timestamp") if each in frame)
        index = pd.to_datetime(frame[time], utc=True).dt.normalize()
        closes = pd.Series(frame["close"].to_numpy(float), index=index)
        closes = closes[~closes.index.duplicated()].sort_index().asfreq("D")
        returns = simple_returns(closes.to_numpy())
        columns.append(pd.Series(returns, index=closes.index[1:]))
    return np.ascontiguousarray(pd.concat(columns, axis=1, sort=True).dropna().to_numpy())


def backtest(series: str, returns: FloatArray, method: TailMethod, confidence: float) -> Backtest:
    """Ask for each day's value at risk from the window before it, and look how the day went.

    Everything is fitted anew each day. Simulations have the day's number as their seed.
    """
    weights = np.full(returns.shape[1], 1 / returns.shape[1])
    portfolio = returns @ weights
    exceeded, refused = [], 0
    for day in range(WINDOW, portfolio.size):
        question = TailQuestion(method, confidence, paths=PATHS, seed=day)
        var = tail_risk(weights, returns[day - WINDOW : day], question).var
        if math.isnan(var):
            refused += 1
        else:
            exceeded.append(-portfolio[day] > var)
    answers = np.array(exceeded, dtype=np.bool_)
    return Backtest(series, method, confidence, measure_coverage(answers, confidence), refused)


def run(folder: Path, jobs: int) -> list[Backtest]:
    """Run every method on every series, the longest work first."""
    everything = {name: (name,) for name in FILES} | PORTFOLIOS
    returns = {name: read_returns(folder, members) for name, members in everything.items()}
    tasks = [
        (name, returns[name], method, confidence)
        for confidence in CONFIDENCES
        for name in everything
        for method in (SINGLE if name in FILES else tuple(TailMethod))
    ]
    return list(Parallel(n_jobs=jobs)(delayed(backtest)(*task) for task in tasks))


def find_drift(folder: Path) -> list[str]:
    """Compute a few rows again, and name those that the page has otherwise."""
    written = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [
        write_row(
            backtest(name, read_returns(folder, PORTFOLIOS.get(name, (name,))), method, confidence)
        )
        for name, method, confidence in CHECKED
    ]
    return [row for row in rows if row not in written]


def write_tables(results: list[Backtest]) -> str:
    """Write how all methods did together, and then each on each series."""
    parts = []
    for confidence in CONFIDENCES:
        level = [each for each in results if each.confidence == confidence]
        parts += [f"## Results at {confidence:.0%}", *_summary(level), ""]
        parts += [
            _HEADING,
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *map(write_row, level),
            "",
        ]
    return "\n".join(parts)


def write_row(result: Backtest) -> str:
    """Write one row of the table; what a test rejects is bold."""
    coverage = result.coverage
    tests = (coverage.kupiec, coverage.independence, coverage.conditional)
    cells = [
        result.series,
        result.method,
        f"{coverage.days}",
        f"{result.refused}",
        f"{coverage.exceedances}",
        f"{coverage.expected:.1f}",
        *(_p_value(test.p_value) for test in tests),
    ]
    return f"| {' | '.join(cells)} |"


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "none"
    text = "< 0.0001" if value < 1e-4 else f"{value:.4f}"  # noqa: PLR2004 -- what is shown
    return f"**{text}**" if value < LEVEL else text


def _summary(results: list[Backtest]) -> Iterator[str]:
    yield ""
    yield "| method | beyond | expected | Kupiec fails | independence fails | conditional fails |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for method in TailMethod:
        mine = [each.coverage for each in results if each.method is method]
        tested = [each for each in mine if each.days > 1]
        fails = [
            sum(getattr(each, test).p_value < LEVEL for each in tested)
            for test in ("kupiec", "independence", "conditional")
        ]
        beyond = sum(each.exceedances for each in mine)
        expected = sum(each.expected for each in mine)
        shown = (f"{count} of {len(tested)}" for count in fails)
        yield f"| {method} | {beyond} | {expected:.1f} | {' | '.join(shown)} |"


def main() -> int:
    """Run the backtests and put their tables between the marks of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the real daily prices")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; all processors by default")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a few rows differ"
    )
    arguments = parser.parse_args()
    if arguments.check:
        drifted = find_drift(arguments.folder)
        for row in drifted:
            print(f"{PAGE} does not say {row}", file=sys.stderr)
        return 1 if drifted else 0
    tables = write_tables(run(arguments.folder, arguments.jobs))
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
