"""What a user allows: limits, how much of each is used, and the events of those that are broken."""

from seawall.risk.limits.block import is_blocked
from seawall.risk.limits.check import check_limits

__all__ = ["check_limits", "is_blocked"]
