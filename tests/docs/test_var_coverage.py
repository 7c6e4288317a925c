"""The page of value at risk says what its script computes."""

import subprocess
import sys
from pathlib import Path

import pytest

from seawall.quant.tails import TailMethod


@pytest.fixture
def page(root: Path) -> Path:
    return root / "docs" / "var-coverage.md"


def test_every_method_is_tested_at_both_levels(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for method in TailMethod:
        # A summary at each level, and two portfolios at least.
        assert text.count(f"\n| {method} |") == 2
        assert text.count(f" | {method} |") >= 4


def test_a_few_rows_are_what_the_prices_give(root: Path, real_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.var_coverage", str(real_data / "daily"), "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
