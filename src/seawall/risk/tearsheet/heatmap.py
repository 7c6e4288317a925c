"""The correlations of the largest holdings as a table whose cells are shaded by their numbers."""

from dataclasses import dataclass

from seawall.risk.schemas import RiskReport

MOST_ASSETS = 20
_STEPS = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """A correlation as text, with the class that shades it."""

    text: str
    class_: str


@dataclass(frozen=True, slots=True)
class Heatmap:
    """The table's assets and rows; where there are none, the reason."""

    assets: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    reason: str = ""


def heatmap(report: RiskReport) -> Heatmap:
    """Lay out the correlations of what varies, the most valuable holdings first."""
    matrix = report.correlation_matrix
    reason = report.reasons.get("correlation_matrix", "")
    place = {asset: at for at, asset in enumerate(matrix.assets)}
    ordered = [each.asset for each in report.holdings if each.asset in place]
    varying = [
        asset for asset in ordered if any(v is not None for v in matrix.values[place[asset]])
    ]
    if len(varying) < 2:  # noqa: PLR2004 - nothing correlates by itself
        return Heatmap((), (), reason=reason or "needs two holdings that vary")
    kept = varying[:MOST_ASSETS]
    rows = tuple(
        tuple(_cell(matrix.values[place[row]][place[column]]) for column in kept) for row in kept
    )
    told = []
    if len(varying) > len(kept):
        told.append(f"The {len(kept)} most valuable of {len(varying)} holdings that vary.")
    still = [asset for asset in ordered if asset not in varying]
    if still:
        told.append(f"Without {', '.join(still)}: {reason or 'no variance'}.")
    return Heatmap(tuple(kept), rows, " ".join(told))


def _cell(value: float | None) -> Cell:
    if value is None:
        return Cell("\u2013", "none")
    step = round(abs(value) * _STEPS)
    sign = "p" if value >= 0 else "n"
    return Cell(f"{value:z.2f}".replace("-", "\u2212"), f"{sign}{step}")
