"""The generated pages are those that the code writes, and drift is noticed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from seawall.cli.exits import EXIT_CODES
from seawall.core.settings import Settings
from seawall.db import migrate
from seawall.db.base import Base
from seawall.market.formats.registry import FORMATS
from seawall.quant.metrics.registry import REGISTRY


def generate(root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "scripts" / "reference.py"), *options],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def read(root: Path, name: str) -> str:
    return (root / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the pages, to be spoiled."""
    return Path(shutil.copytree(root / "docs" / "reference", tmp_path / "reference"))


def test_the_pages_are_current(root: Path) -> None:
    done = generate(root, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_drift_fails_and_says_how_to_mend_it(root: Path, copy: Path) -> None:
    spoilt = copy / "settings.md"
    spoilt.write_text(spoilt.read_text().replace("SEAWALL_HOME", "SEAWALL_HOUSE"))
    (copy / "metrics.md").unlink()
    (copy / "leftover.md").write_text("nothing writes this\n")

    done = generate(root, "--check", "--folder", str(copy))

    assert done.returncode == 1
    named = [line.split()[0] for line in done.stderr.splitlines() if "differs" in line]
    assert [Path(each).name for each in named] == ["metrics.md", "settings.md", "leftover.md"]
    assert "make docs" in done.stderr
    assert "SEAWALL_HOUSE" in spoilt.read_text(), "a check must not write"


def test_pages_do_not_depend_on_who_writes_them(root: Path, tmp_path: Path) -> None:
    wide, narrow = tmp_path / "wide", tmp_path / "narrow"
    generate(root, "--folder", str(wide), COLUMNS="300", SEAWALL_HOME="/elsewhere")
    generate(
        root, "--folder", str(narrow), COLUMNS="40", TYPER_USE_RICH="0", HOME=str(tmp_path), TZ="X"
    )
    pages = sorted(path.name for path in wide.iterdir())
    assert pages == sorted(path.name for path in (root / "docs" / "reference").glob("*.md"))
    for name in pages:
        assert (wide / name).read_bytes() == (narrow / name).read_bytes()


def variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{prefix}{name}__".upper())
        else:
            yield f"{prefix}{name}".upper(), field.description or ""


def test_every_setting_is_documented(root: Path) -> None:
    page = read(root, "settings.md")
    found = dict(variables(Settings, "SEAWALL_"))
    assert {"SEAWALL_HOME", "SEAWALL_DATABASE__URL", "SEAWALL_CACHE__URL"} <= found.keys()
    for variable, description in found.items():
        assert len(description) > 10, f"{variable} has no description"
        assert f"| `{variable}` |" in page
        assert description in page


def test_every_metric_format_table_and_exit_code_is_described(root: Path) -> None:
    migrate.head()
    metrics, formats = read(root, "metrics.md"), read(root, "formats.md")
    tables, commands = read(root, "tables.md"), read(root, "cli.md")
    for slug, metric in REGISTRY.items():
        assert f"## `{slug}`: {metric.name}" in metrics
        assert metric.source in metrics
    for form in FORMATS:
        assert f"| `{form.name}` |" in formats
    for name in Base.metadata.tables:
        assert f"### `{name}`" in tables
    for family, number in EXIT_CODES.items():
        assert f"| {number} |" in commands
        assert f"`{family.__name__}`" in commands
