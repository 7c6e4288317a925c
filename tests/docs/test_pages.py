"""What the hand-written pages name is there: files, commands, settings, benchmarks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from seawall.cli.app import app
from seawall.market.formats.registry import FORMATS
from seawall.portfolios.schemas import LotMethod, TransactionType

CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|`|\$ |(?<!import)\s)seawall((?: (?!-)[a-z]+)+)", re.MULTILINE)
VARIABLE = re.compile(r"\bSEAWALL_[A-Z_]+\b")
MODULE = re.compile(r"`((?!src|tests|scripts|benchmarks)[a-z]+/[\w/]+\.py)`")


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[Path, str]:
    found = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    found += sorted((root / "docs").rglob("*.md"))
    return {path: path.read_text(encoding="utf-8") for path in found}


def anchors(text: str) -> set[str]:
    """Name a page's headings as links do: in lower case, hyphens for spaces, no punctuation."""
    return {
        re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in HEADING.findall(text)
    }


def test_links_lead_to_files_and_headings(pages: dict[Path, str]) -> None:
    seen, broken = 0, []
    for path, text in pages.items():
        # What stands in code, such as a pattern, is no link.
        for target, anchor in LINK.findall(CODE.sub("code", text)):
            if "://" in target:
                continue
            seen += 1
            there = (path.parent / target).resolve() if target else path
            if not there.exists() or (anchor and anchor not in anchors(pages[there])):
                broken.append(f"{path.name}: {target}#{anchor}")
    assert seen > 40
    assert not broken


def test_the_index_links_every_page(root: Path, pages: dict[Path, str]) -> None:
    index = root / "docs" / "index.md"
    lists = [index, root / "docs" / "reference" / "tables.md"]
    linked = {
        (page.parent / target).resolve()
        for page in lists
        for target, _ in LINK.findall(pages[page])
    }
    within = {path for path in pages if path.is_relative_to(root / "docs")} - {index}
    assert within <= linked


def commands_of(group: typer.Typer, *above: str) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield (*above, command.name or "")
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands_of(inner.typer_instance, *above, inner.name or "")


def test_commands_that_are_named_exist(pages: dict[Path, str]) -> None:
    known = set(commands_of(app))
    groups = {command[:length] for command in known for length in range(1, len(command))}
    seen = set()
    for path, text in pages.items():
        for words in COMMAND.findall(text):
            named = tuple(words.split())
            # What follows a command is its line's own.
            found = {command for command in known if named[: len(command)] == command}
            assert found or named in groups, f"{path.name}: seawall{words}"
            seen |= found
    assert known == seen


def test_settings_that_are_named_exist(root: Path, pages: dict[Path, str]) -> None:
    reference = pages[root / "docs" / "reference" / "settings.md"]
    for path, text in pages.items():
        for variable in VARIABLE.findall(text):
            assert (
                variable.startswith(("SEAWALL_TEST_", "SEAWALL_BENCH_")) or variable in reference
            ), path.name


def test_modules_that_are_named_exist(root: Path, pages: dict[Path, str]) -> None:
    named = {each for text in pages.values() for each in MODULE.findall(text)}
    assert len(named) > 10
    assert not [each for each in named if not (root / "src" / "seawall" / each).is_file()]


def test_every_benchmark_is_explained(root: Path, pages: dict[Path, str]) -> None:
    source = (root / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
    assigned = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES"
    )
    for name in ast.literal_eval(assigned):
        assert f"| `{name}` |" in pages[root / "docs" / "benchmarks.md"]


def test_every_format_type_and_lot_method_is_explained(root: Path, pages: dict[Path, str]) -> None:
    importing = pages[root / "docs" / "importing.md"]
    assert not [each.name for each in FORMATS if f"| `{each.name}` |" not in importing]
    portfolios = pages[root / "docs" / "portfolios.md"]
    assert not [each for each in TransactionType if f"| `{each}` |" not in portfolios]
    assert not [each for each in LotMethod if f"| `{each}` |" not in portfolios]
