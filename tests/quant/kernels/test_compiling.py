"""What is compiled beforehand is all that Python asks of the kernels."""

import subprocess
import sys

WITHIN = {"draw", "garch_scores", "quantile_place", "tail_bound", "uniform"}
"""What other kernels, or tests, alone ask for."""
_SCRIPT = """
import importlib, pkgutil
from seawall.quant import kernels
from seawall.quant.compiling import compile_kernels
compile_kernels()
for found in pkgutil.iter_modules(kernels.__path__):
    module = importlib.import_module(f"{kernels.__name__}.{found.name}")
    for name, kernel in vars(module).items():
        is_public = hasattr(kernel, "signatures") and not name.startswith("_")
        if is_public and kernel.__module__ == module.__name__:
            print(name, len(kernel.signatures))
"""


def test_every_kernel_that_python_asks_for_is_compiled() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _SCRIPT], check=True, capture_output=True, text=True
    ).stdout
    counts = {name: int(count) for name, count in (line.split() for line in told.splitlines())}
    assert {"measure_portfolios", "garch_fit", "copula_paths", "windows"} <= counts.keys()
    assert {name for name, count in counts.items() if not count} <= WITHIN


def test_it_ends_by_itself_and_with_whoever_started_it() -> None:
    command = [sys.executable, "-P", "-m", "seawall.quant.compiling"]
    for is_left in (False, True):
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as started:
            assert started.stdin is not None
            assert started.stderr is not None
            if is_left:
                started.stdin.close()
            assert started.wait(timeout=300) == 0
            assert started.stderr.read() == ""
