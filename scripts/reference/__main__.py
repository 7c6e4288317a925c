"""Write docs/reference from the code, or say which of its pages are out of date."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.reference.cache import cache_page
from scripts.reference.commands import cli_page
from scripts.reference.formats import formats_page
from scripts.reference.metrics import metrics_page
from scripts.reference.retention import retention_page
from scripts.reference.settings import settings_page
from scripts.reference.tables import table_pages

PAGES = Path(__file__).parents[2] / "docs" / "reference"
MEND = "Mend it with `make docs`; a page that nothing writes is to be removed."
WRITERS: dict[str, Callable[[], str]] = {
    "cache.md": cache_page,
    "cli.md": cli_page,
    "formats.md": formats_page,
    "metrics.md": metrics_page,
    "retention.md": retention_page,
    "settings.md": settings_page,
}


def write_pages() -> dict[str, str]:
    """Return every page by its path in the folder."""
    return {name: write() for name, write in WRITERS.items()} | table_pages()


def find_drift(folder: Path) -> list[str]:
    """Name the pages that differ from the code, and those that nothing writes."""
    pages = write_pages()
    drifted = [
        name
        for name, text in pages.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))
    return drifted + sorted(set(there) - pages.keys())


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    parser.add_argument("--folder", type=Path, default=PAGES, help="where the pages are")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.check:
        drifted = find_drift(folder)
        for name in drifted:
            print(f"{folder / name} differs from the code.", file=sys.stderr)
        if drifted:
            print(MEND, file=sys.stderr)
        return 1 if drifted else 0
    for name, text in write_pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
