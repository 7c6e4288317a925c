"""The page of file formats."""

import sys
from collections.abc import Sequence
from types import ModuleType

from scripts.reference.markdown import code, codes, doc, page, table
from seawall.market.formats import columnar, unpack
from seawall.market.formats.base import Format
from seawall.market.formats.names import EXCHANGES
from seawall.market.formats.records import EARLIEST, EARLIEST_INDEX
from seawall.market.formats.registry import FORMATS
from seawall.market.formats.spacing import STRAY, USUAL
from seawall.market.formats.times import show
from seawall.market.pairs import QUOTES


def formats_page() -> str:
    """Describe every file format, and the limits on files."""
    forms = [(code(form.name), form.container, form.title) for form in FORMATS]
    modules: dict[ModuleType, list[Format]] = {}
    for form in FORMATS:
        modules.setdefault(sys.modules[form.recognise.__module__], []).append(form)
    described = [_formats_of(module, known) for module, known in modules.items()]
    return page(
        "File formats",
        "A file is taken for the first of these that its content fits, gzip and zip being unpacked"
        " first; [importing](../importing.md) tells the rest.",
        table(("Format", "Container", "What it is"), forms),
        *described,
        "## Limits",
        table(("Limit", "Value"), _limits()),
        "## Names that are known",
        f"Timeframes that the spacing of candles proves by itself: {codes(map(str, USUAL))}.",
        f"What the name of a pair may end with: {codes(sorted(QUOTES))}.",
        f"Exchanges in the names of files: {codes(sorted(EXCHANGES))}.",
    )


def _formats_of(module: ModuleType, forms: Sequence[Format]) -> str:
    heading = ", ".join(code(form.name) for form in forms)
    how = doc(forms[0].recognise).partition("\n")[0].removeprefix("Return the layout by ")
    return f"### {heading}\n\n{doc(module)}\n\nRecognised by {how}"


def _limits() -> list[tuple[str, object]]:
    return [
        ("Bytes of one file, packed and unpacked", f"{unpack.LIMIT >> 30} GiB"),
        ("Unpacked for each packed byte", unpack.RATIO),
        ("Unpacked bytes that are allowed whatever that ratio", f"{unpack.FREE >> 20} MiB"),
        ("Wrappings inside one another", unpack.DEPTH),
        ("Files in one zip", f"{unpack.MEMBERS:,}"),
        ("Rows of one Arrow or Parquet file", f"{columnar.MAX_ROWS:,}"),
        ("Candles off the timeframe's grid that are left out one by one", f"{STRAY:.0%}"),
        ("Earliest time of a coin's price", show(EARLIEST)),
        ("Earliest time of an index' close", show(EARLIEST_INDEX)),
    ]
