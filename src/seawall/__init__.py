"""Seawall: prices, portfolios and risk of crypto holdings, on your own machine.

In a notebook: `import seawall as sw`, then `sw.risk(returns)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.notebook import METRICS as METRICS
    from seawall.notebook import Risk as Risk
    from seawall.notebook import returns as returns

__version__ = "0.1.0"
# Imported when they are asked for: the command line starts without them.
_FOUND_IN = {
    "METRICS": "seawall.notebook",
    "Risk": "seawall.notebook",
    "returns": "seawall.notebook",
}


def __getattr__(name: str) -> Any:
    if name == "risk":
        return import_module("seawall.risk")
    if name in _FOUND_IN:
        return getattr(import_module(_FOUND_IN[name]), name)
    raise AttributeError(f"module 'seawall' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__doc__", "__version__", "risk", *_FOUND_IN})
