"""Run benchmarks by name, all by default, and write their figures as JSON when asked."""

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.result import Result

MODULES = {
    "api-candles": "api_candles",
    "api-read": "api_read",
    "api-write": "api_write",
    "bulk-read": "bulk",
    "bulk-write": "bulk",
    "cli-help": "command_line",
    "compression": "ageing",
    "demo-warm": "command_line",
    "import-1m": "import_1m",
    "ingest-with-policies": "ageing",
    "monte-carlo": "monte_carlo",
    "optimise": "optimise",
    "query-targets": "query_targets",
    "risk-batch-100k": "risk_batch_100k",
    "risk-batch-rows": "risk_batch_rows",
    "risk-one": "risk_one",
    "rls-overhead": "rls_overhead",
    "tick-to-risk": "tick_to_risk",
    "ws-1000": "ws_1000",
}
"""Which module measures which benchmarks, each in its function of the same name."""


def main() -> int:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MODULES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(MODULES)}")
    results: list[Result] = []
    for name in arguments.names or MODULES:
        module = importlib.import_module(f"benchmarks.{MODULES[name]}")
        for result in getattr(module, name.replace("-", "_"))():
            results.append(result)
            print(_line(result), flush=True)
    if arguments.json:
        document = [asdict(result) for result in results]
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _line(result: Result) -> str:
    return (
        f"{result.name:22} {result.value:>14,.4g} {result.unit:8}"
        f" {result.ratio:>8.3f} x {result.peer} ({result.peer_value:,.4g} {result.unit})"
    )


if __name__ == "__main__":
    sys.exit(main())
