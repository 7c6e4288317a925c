"""The tables as the code declares them, by domain, and what is to be told of each."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Column, Identity, Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, Constraint, CreateColumn, CreateIndex

import seawall
from scripts.reference.markdown import code, codes, doc
from seawall.db.base import Audit, Base
from seawall.db.series import SERIES, Series
from seawall.ops.retention import POLICY, Rule

DOMAINS = {
    "identity": ("identity", "audit", "db"),
    "market": ("market",),
    "portfolios": ("portfolios",),
    "trading": ("trading", "strategies"),
    "risk": ("risk", "risk.limits"),
    "learning": ("learning", "insights"),
    "alerts": ("alerts",),
    "operations": ("ops", "jobs"),
}
"""The packages whose tables stand on one page."""
SHORT_TYPES = {"timestamp with time zone": "timestamptz"}
YEAR = 365
# A driver whose parameters begin with a per cent sign has all others doubled.
_DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_SERIES = {series.table: series for series in SERIES}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, and what its class says of it."""

    table: Table
    description: str


def read_domains() -> dict[str, list[TableFacts]]:
    """Return the tables of each domain, by their names."""
    sources = Path(seawall.__file__).parent
    folders = (file.parent.relative_to(sources) for file in sources.rglob("tables.py"))
    packages = {".".join(folder.parts) for folder in folders}
    homeless = packages - {package for each in DOMAINS.values() for package in each}
    if homeless:
        raise LookupError(f"DOMAINS names no page for the tables of {', '.join(homeless)}.")
    return {
        domain: sorted(
            (facts for package in packages for facts in _tables_of(package)),
            key=lambda facts: facts.table.name,
        )
        for domain, packages in DOMAINS.items()
    }


def _tables_of(package: str) -> Iterator[TableFacts]:
    module = importlib.import_module(f"seawall.{package}.tables")
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Base) and each is not Base:
            table = each.__table__
            assert isinstance(table, Table)  # noqa: S101 - every class here is mapped to one
            yield TableFacts(table, doc(each))


def kind_of(table: Table) -> str:
    """Say in a few words what sort of table it is."""
    owner = "tenant" if table.info.get("tenant") else "shared"
    return f"{owner}, series" if table.name in _SERIES else owner


def facts_of(table: Table) -> Mapping[str, str]:
    """Return what holds for a table as a whole, by what it is about."""
    owner = "a user's own, under row security" if table.info.get("tenant") else "shared by all"
    facts = {"Rows": owner, "Audited": _audit(table), "Kept": _retention(table.name)}
    if table.name in _SERIES:
        facts["Chunks"] = _chunks(_SERIES[table.name])
    return facts


def _audit(table: Table) -> str:
    audit = table.info.get("audit")
    if not isinstance(audit, Audit):
        reason = table.info.get("unaudited")
        return f"no: {reason}" if reason else "no"
    parts = ["every change"]
    if audit.redacted:
        parts.append(f"of {codes(audit.redacted)} only that there was one")
    if audit.derived:
        parts.append(f"but none that is of {codes(audit.derived)} alone")
    return "; ".join(parts)


def _retention(table: str) -> str:
    return "; ".join(_limit(rule) for rule in POLICY if rule.table == table) or (
        "until it is deleted"
    )


def _limit(rule: Rule) -> str:
    rows = rule.name.removeprefix(rule.table).strip(", ")
    limits = _span(rule.standard)
    if rule.lean != rule.standard:
        limits += f" (lean: {_span(rule.lean)})"
    if rule.standard is not None:
        limits += f" from `{rule.time}` on, then {'archived' if rule.archived else 'deleted'}"
    return f"{rows}: {limits}" if rows else limits


def _span(keep: timedelta | None) -> str:
    if keep is None:
        return "for ever"
    years, rest = divmod(keep.days, YEAR)
    unit, number = ("day", keep.days) if rest else ("year", years)
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _chunks(series: Series) -> str:
    if series.tenant:
        return f"a partition for each {series.chunk}, on either engine"
    parts = [f"a partition for each {series.chunk}; a TimescaleDB chunk each {series.hyperchunk}"]
    if series.compress_after is not None:
        parts.append(
            f"there compressed after {series.compress_after.days} days, by"
            f" {codes(series.segment_by)}"
        )
    return ", ".join(parts)


def type_of(column: Column[object]) -> str:
    """Return a column's type as PostgreSQL writes it, in short."""
    name = column.type.compile(_DIALECT).lower()
    return SHORT_TYPES.get(name, name)


def given_to(column: Column[object]) -> str:
    """Return what a column holds when nothing is said, or always."""
    if column.computed is not None:
        return f"always {code(column.computed.sqltext)}"
    default = column.server_default
    if default is None:
        return ""
    if isinstance(default, Identity):
        return "identity"
    written = CreateColumn(column).compile(dialect=_DIALECT).string
    return code(written.partition("DEFAULT ")[2].removesuffix(" NOT NULL"))


def constraint_of(constraint: Constraint) -> str:
    """Write a constraint as it is declared."""
    added = AddConstraint(constraint, isolate_from_table=False)
    return str(added.compile(dialect=_DIALECT)).partition(" ADD CONSTRAINT ")[2]


def index_of(index: Index) -> str:
    """Write an index as it is declared."""
    return str(CreateIndex(index).compile(dialect=_DIALECT)).removeprefix("CREATE ")
