"""What a benchmark finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One figure beside its peer's; `ratio` says how many times better than the peer it is."""

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
