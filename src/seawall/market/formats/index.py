"""Daily closes of an index: Date,Close."""

from seawall.market.formats import columns
from seawall.market.formats.base import Format, Layout, Sample


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by a date and a close, and nothing else."""
    return columns.prices(sample.columns)


INDEX = Format("index", "CSV: Date,Close", recognise)
