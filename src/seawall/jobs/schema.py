"""The queue's own tables: procrastinate's, in a PostgreSQL schema apart, as the library ships them.

The library is read where it is installed and not imported: migrations need its files alone.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from seawall.core.errors import UnavailableError

SCHEMA = "queue"
VERSION = "03.04.00_50"
"""The newest step of the library's schema that the migrations have brought; see ADR 15."""
SHA256 = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"
"""The digest of the whole schema at that step."""
_STEP = len(VERSION)


def _folder() -> Path:
    spec = find_spec("procrastinate")
    if spec is None or spec.origin is None:
        raise UnavailableError(
            "The library procrastinate is not installed.", hint="Install Seawall anew."
        )
    return Path(spec.origin).parent / "sql"


def whole() -> str:
    """Return the SQL that makes the library's tables in an empty schema."""
    return (_folder() / "schema.sql").read_text(encoding="utf-8")


def installed_version() -> str:
    """Return the newest step of the library's schema."""
    return max(step for step, _ in _steps())


def steps_after(version: str) -> list[str]:
    """Return the SQL of each step that follows a version, in order."""
    return [path.read_text(encoding="utf-8") for step, path in _steps() if step > version]


def _steps() -> Iterator[tuple[str, Path]]:
    for path in sorted((_folder() / "migrations").glob("*.sql")):
        yield path.name[:_STEP], path
