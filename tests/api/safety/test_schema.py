"""Schemathesis finds nothing: no server errors, no breaks of the schema, no way past logging in.

What is right by the schema may still be refused, by a rule that no schema can say (a code, a
cursor, a time that is over): that check is left out, all others are on.
"""

import json
import os
import re
import subprocess
import sys
from math import ceil
from pathlib import Path
from typing import Any

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
A_DOZEN = 12


def _run(served: Any, folder: Path, *more: str) -> Any:
    report = folder / "report.json"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/api/v1/openapi.json"),
        *("--generation-database", "none", "--no-color", "--seed", "1", "--continue-on-failure"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--report", "json", "--report-json-path", str(report), *more),
    ]
    given = {"SCHEMATHESIS_HOOKS": str(HOOKS), "TOKEN_URL": f"{served.url}/token-of-the-tests"}
    ran = subprocess.run(
        command, env=os.environ | given, capture_output=True, text=True, cwd=folder, check=False
    )
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    _, _, told = ran.stdout.partition("= FAILURES =")
    found = json.loads(report.read_text())
    assert found["complete"], found
    assert not found["failures"], told
    assert not found["operations"]["errored"], ran.stdout
    return found


def _operations(served: Any) -> list[str]:
    paths = served.app.openapi()["paths"].values()
    return sorted(each["operationId"] for methods in paths for each in methods.values())


def test_no_operation_breaks(served: Any, tmp_path: Path, figures: Any) -> None:
    often = str(figures.pick(2, 100))
    found = _run(served, tmp_path, "--phases", "examples,fuzzing,stateful", "--max-examples", often)
    assert found["operations"]["tested"] == len(_operations(served)) > 30
    figures.at_least("schema: requests made up", found["test_cases"]["generated"], "", 100)
    figures.at_most("schema: faults", found["test_cases"]["unique_failures"], "", 0)


def test_no_edge_of_the_schema_breaks(served: Any, tmp_path: Path, figures: Any) -> None:
    # Each has some forty: they are taken in turns, and all of them where there is time.
    every = _operations(served)
    step = figures.pick(ceil(len(every) / A_DOZEN), 1)
    chosen = f"^({'|'.join(map(re.escape, every[::step]))})$"
    found = _run(served, tmp_path, "--phases", "coverage", "--include-operation-id-regex", chosen)
    assert found["operations"]["tested"] == len(every[::step])
    figures.at_least("schema: requests at its edges", found["test_cases"]["generated"], "", 100)
    figures.at_most("schema: faults at its edges", found["test_cases"]["unique_failures"], "", 0)
