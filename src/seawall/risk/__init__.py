"""How much can be lost: exposure, measures, reports.

The package can be called, `seawall.risk(returns)`: in a notebook it is what one looks for.
"""

import sys
from types import ModuleType
from typing import Any


class _Risk(ModuleType):
    def __call__(self, returns: Any, **options: Any) -> Any:
        """Measure all of some returns; see `seawall.notebook.risk`."""
        from seawall.notebook import risk  # noqa: PLC0415 - the package itself stays light

        return risk(returns, **options)


sys.modules[__name__].__class__ = _Risk
