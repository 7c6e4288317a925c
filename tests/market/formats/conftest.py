"""What the formats' tests share: parsing a file that is written out in the test."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.schemas import ParsedFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# Of the session, so that hypothesis may use it.
@pytest.fixture(scope="session")
def parse_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[ParsedFile]]:
    """Write a file of a name and content and parse it; keywords are hints, `now` is 2026."""
    numbers = count()

    def parse_all(name: str, content: str | bytes, **hints: Any) -> list[ParsedFile]:
        path: Path = tmp_path_factory.mktemp(f"file{next(numbers)}_", numbered=False) / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return parse_file(path, hints=ParseHints(**{"now": NOW, **hints}))

    return parse_all


@pytest.fixture(scope="session")
def parse(parse_all: Callable[..., list[ParsedFile]]) -> Callable[..., ParsedFile]:
    """As `parse_all`, for a file that is or holds exactly one."""

    def parse(name: str, content: str | bytes, **hints: Any) -> ParsedFile:
        (parsed,) = parse_all(name, content, **hints)
        return parsed

    return parse
