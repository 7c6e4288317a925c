"""Write docs/reference and the client from the code, or say which files are out of date."""

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from scripts.reference import api
from scripts.reference.cache import cache_page
from scripts.reference.client import client_modules
from scripts.reference.commands import cli_page
from scripts.reference.formats import formats_page
from scripts.reference.metrics import metrics_page
from scripts.reference.retention import retention_page
from scripts.reference.settings import settings_page
from scripts.reference.tables import table_pages

PAGES = Path(__file__).parents[2] / "docs" / "reference"
CLIENT = Path(__file__).parents[2] / "src" / "seawall" / "client" / "generated"
MEND = "Mend it with `make docs`; a page that nothing writes is to be removed."
ADD_ONLY = (
    "Version 1 of the API may only be added to (docs/api.md). Give it back what it had; or, before"
    " it was ever released, change it knowingly with --break-api."
)
WRITERS: dict[str, Callable[[], str]] = {
    api.NAME: api.api_page,
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
    return _drift(folder, write_pages())


def _drift(folder: Path, pages: Mapping[str, str]) -> list[str]:
    drifted = [
        name
        for name, text in pages.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    files = (path for path in folder.rglob("*") if path.suffix in {".md", ".json", ".py"})
    there = (path.relative_to(folder).as_posix() for path in files)
    return drifted + sorted(set(there) - pages.keys())


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    parser.add_argument(
        "--break-api", action="store_true", help="write what breaks programs of the API, too"
    )
    parser.add_argument("--folder", type=Path, default=PAGES, help="where the pages are")
    parser.add_argument("--client", type=Path, default=CLIENT, help="where the client is")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.check:
        return _check(folder, arguments.client)
    pages = write_pages()
    if _tell_breaks(folder, pages[api.NAME]) and not arguments.break_api:
        return 1
    _write(folder, pages)
    _write(arguments.client, client_modules())
    return 0


def _write(folder: Path, pages: Mapping[str, str]) -> None:
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _check(folder: Path, client: Path) -> int:
    pages, modules = find_drift(folder), _drift(client, client_modules())
    drifted = [*(folder / name for name in pages), *(client / name for name in modules)]
    for path in drifted:
        print(f"{path} differs from the code.", file=sys.stderr)
    if api.NAME in pages:
        _tell_breaks(folder, api.api_page())
    if drifted:
        print(MEND, file=sys.stderr)
    return 1 if drifted else 0


def _tell_breaks(folder: Path, written: str) -> bool:
    try:
        broken = api.broken_promises(folder, written, datetime.now(UTC).date())
    except ValueError:
        print(f"{folder / api.NAME} is not JSON: take either side of it first.", file=sys.stderr)
        return True
    for each in broken:
        print(each, file=sys.stderr)
    if broken:
        print(ADD_ONLY, file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
