"""The generated pages are those that the code writes, and drift is noticed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy import CheckConstraint, text

from seawall.cli.exits import EXIT_CODES
from seawall.core.settings import Settings
from seawall.db import migrate
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.series import SERIES
from seawall.market.formats.registry import FORMATS
from seawall.quant.metrics.registry import REGISTRY


def generate(root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.reference", *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def read(root: Path, name: str) -> str:
    return (root / "docs" / "reference" / name).read_text(encoding="utf-8")


def sections(root: Path) -> dict[str, str]:
    """Return what stands under each heading of the domains' pages."""
    folder = root / "docs" / "reference" / "tables"
    heading = re.compile(r"^## `(\w+)`$", re.MULTILINE)
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        _, *parts = heading.split(path.read_text(encoding="utf-8"))
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the pages, to be spoiled."""
    return Path(shutil.copytree(root / "docs" / "reference", tmp_path / "reference"))


@pytest.mark.parametrize(
    "environment",
    [
        {"COLUMNS": "300", "SEAWALL_HOME": "/elsewhere"},
        {"COLUMNS": "40", "TYPER_USE_RICH": "0", "HOME": "/nowhere", "TZ": "X"},
    ],
    ids=["wide", "narrow"],
)
def test_the_pages_are_current_whoever_writes_them(root: Path, environment: dict[str, str]) -> None:
    done = generate(root, "--check", **environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_drift_fails_and_says_how_to_mend_it(root: Path, copy: Path) -> None:
    spoilt = copy / "settings.md"
    spoilt.write_text(spoilt.read_text().replace("SEAWALL_HOME", "SEAWALL_HOUSE"))
    (copy / "metrics.md").unlink()
    (copy / "tables" / "leftover.md").write_text("nothing writes this\n")

    done = generate(root, "--check", "--folder", str(copy))

    assert done.returncode == 1
    named = [line.split()[0] for line in done.stderr.splitlines() if "differs" in line]
    drifted = [Path(each).relative_to(copy).as_posix() for each in named]
    assert drifted == ["metrics.md", "settings.md", "tables/leftover.md"]
    assert "make docs" in done.stderr
    assert "SEAWALL_HOUSE" in spoilt.read_text(), "a check must not write"


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
    migrate._scripts().get_current_head()
    metrics, formats = read(root, "metrics.md"), read(root, "formats.md")
    tables, commands = sections(root), read(root, "cli.md")
    for slug, metric in REGISTRY.items():
        assert f"## `{slug}`: {metric.name}" in metrics
        assert metric.source in metrics
    for form in FORMATS:
        assert f"| `{form.name}` |" in formats
    for name in Base.metadata.tables:
        assert f"`{name}`](tables/" in read(root, "tables.md")
        assert "\nConstraints:\n" in tables[name]
    for family, number in EXIT_CODES.items():
        assert f"| {number} |" in commands
        assert f"`{family.__name__}`" in commands


OF_MIGRATIONS = {"series", "rollups", "alembic_version"} | {
    rollup.name for series in SERIES for rollup in series.rollups
}
"""What no domain declares as a table."""
RIGHTS = """
    SELECT relname, privilege_type || coalesce(' (' || string_agg(attname, ', '
        ORDER BY attname COLLATE "C") || ')', '')
    FROM (
        SELECT oid, NULL::name AS attname, relacl AS acl FROM pg_class
        UNION ALL SELECT attrelid, attname, attacl FROM pg_attribute
    ) AS held JOIN pg_class USING (oid), aclexplode(acl) given
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND given.grantee = 'seawall_app'::regrole
    GROUP BY relname, privilege_type, attname IS NULL
"""
TRIGGERS = """
    SELECT relname, tgname, proname FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal AND pg_class.relnamespace = 'public'::regnamespace
        AND pg_proc.pronamespace = 'public'::regnamespace AND tgname <> 'note_change'
"""


def test_the_page_of_a_domain_tells_what_each_of_its_tables_is_for(root: Path) -> None:
    named = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    told = {
        path.stem: set(named.findall(path.read_text(encoding="utf-8")))
        for path in (root / "docs" / "domains").glob("*.md")
    }
    assert told == {
        path.stem: set(re.findall(r"^## `(\w+)`$", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in (root / "docs" / "reference" / "tables").glob("*.md")
    }


def in_order(right: str) -> str:
    """Sort the columns that a right is limited to."""
    privilege, *columns = re.findall(r"\w+", right)
    return f"{privilege} ({', '.join(sorted(columns))})" if columns else privilege


async def test_rights_and_triggers_are_those_of_a_migrated_database(
    root: Path, module_location: Location
) -> None:
    engine = create_engine(module_location.url, pooled=False)
    async with engine.connect() as connection:
        rights = {tuple(row) for row in await connection.execute(text(RIGHTS))}
        triggers = {tuple(row) for row in await connection.execute(text(TRIGGERS))}
    await engine.dispose()
    pages = sections(root)
    said = {
        (name, in_order(right))
        for name, page in pages.items()
        for found in re.findall(r"^\| The application may \| (.+) \|$", page, re.MULTILINE)
        for right in re.findall(r"[A-Z]{2,}(?: \([^)]+\))?", found)
    }
    assert said == {(name, right) for name, right in rights if name not in OF_MIGRATIONS}
    assert {
        (name, *found)
        for name, page in pages.items()
        for found in re.findall(r"^- `(\w+)` (?:BEFORE|AFTER)[^:]+: `(\w+)`$", page, re.MULTILINE)
    } == triggers


async def test_functions_and_views_are_those_of_a_migrated_database(
    root: Path, module_location: Location
) -> None:
    engine = create_engine(module_location.url, pooled=False)
    async with engine.connect() as connection:
        functions = await connection.execute(
            text(
                "SELECT proname, grantee::regrole::text, prosecdef FROM pg_proc,"
                " aclexplode(proacl) WHERE pronamespace = 'public'::regnamespace"
                " AND grantee::regrole::text IN ('seawall_app', 'seawall_worker')"
            )
        )
        called = {tuple(row) for row in functions}
        views = await connection.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relkind = 'v'"
                " AND 'security_invoker=true' = ANY (reloptions)"
            )
        )
        made = set(views)
    await engine.dispose()
    said = re.findall(
        r"^\| `(\w+)\(.*\)` \| `(\w+)` \| (.+) \|$", read(root, "tables.md"), re.MULTILINE
    )
    assert {(name, role, runs.endswith("a door")) for name, role, runs in said} == called
    assert {name for name, page in sections(root).items() if "\nA view," in page} == made


def test_a_pattern_is_shown_as_it_is_written(root: Path) -> None:
    shown = sections(root)["profiles"]
    (pattern,) = [
        str(each.sqltext)
        for each in Base.metadata.tables["profiles"].constraints
        if isinstance(each, CheckConstraint) and each.name == "ck_profiles_avatar_url"
    ]
    assert "%" in pattern
    assert pattern in shown
