"""The pages of tables: one for each domain, and one over all of them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from scripts.reference.catalogue import Catalogue, read_catalogue
from scripts.reference.diagrams import diagram, overview
from scripts.reference.markdown import bullets, code, codes, fence, page, table
from scripts.reference.schema import (
    TableFacts,
    constraint_of,
    facts_of,
    given_to,
    index_of,
    kind_of,
    read_domains,
    type_of,
)
from seawall.db.engine import APP_ROLE, WORKER_ROLE
from seawall.db.series import SERIES, Rollup, Series

INDEX = "tables.md"
_READ_FIRST = re.compile(r"\bFROM (\w+)")
Domains = Mapping[str, Sequence[TableFacts]]


def table_pages() -> dict[str, str]:
    """Return each page by its path."""
    domains, catalogue = read_domains(), read_catalogue()
    return {INDEX: _index(domains, catalogue)} | {
        f"tables/{domain}.md": _domain(domain, found, catalogue)
        for domain, found in domains.items()
    }


def _index(domains: Domains, catalogue: Catalogue) -> str:
    return page(
        "Tables",
        "Every table, view and rollup, written from their declarations and migrations."
        " `tenant` rows belong to a user, and a transaction sees and writes those of the one user"
        " that it is bound to. A `series` is cut into chunks by time: [series](../series.md)."
        " Beside these the migrations keep `series`, `rollups` and `series_changes`, which say how"
        " series are kept, and `alembic_version`.",
        "## All tables",
        table(("Domain", "Table", "Class"), _listed(domains, catalogue)),
        "## How they lead to one another",
        "A full line is a foreign key. A dotted one is a series' column that names an asset, a pair"
        " or a model's version without one: see [series](../series.md). Nearly every tenant's table"
        " begins at `users`; the keys between them hold the user too, so that no row can lead into"
        " another user's.",
        overview({name: [each.table for each in found] for name, found in domains.items()}),
        "## Functions",
        "What the application and its workers may call. A door runs as the tables' owner, and hands"
        " out no more than it says; any other runs with the caller's own rights.",
        table(
            ("Function", "May be called by", "Runs as"),
            (
                (
                    code(f"{each.name}({each.arguments})"),
                    code(each.caller),
                    "the owner: a door" if each.is_door else "the caller",
                )
                for each in catalogue.functions
            ),
        ),
    )


def _listed(domains: Domains, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    for domain, found in domains.items():
        link = f"tables/{domain}.md"
        kinds = {each.table.name: kind_of(each.table) for each in found}
        kinds |= {rollup.name: "rollup" for _, rollup in _rollups(found)}
        kinds |= dict.fromkeys(_views(found, catalogue), "view")
        for number, (name, kind) in enumerate(kinds.items()):
            yield "" if number else f"[{domain}]({link})", f"[`{name}`]({link}#{name})", kind


def _domain(domain: str, found: Sequence[TableFacts], catalogue: Catalogue) -> str:
    return page(
        f"Tables: {domain}",
        f"What they are for stands in [{domain}](../../domains/{domain}.md); all tables in the"
        " [overview](../tables.md). Here with their keys:",
        diagram([each.table for each in found]),
        *(part for each in found for part in _table(each, catalogue)),
        *(part for series, rollup in _rollups(found) for part in _rollup(series, rollup)),
        *(
            part
            for name, query in _views(found, catalogue).items()
            for part in (
                f"## `{name}`",
                "A view, with the rights of who asks.",
                fence("sql", query),
            )
        ),
    )


def _table(facts: TableFacts, catalogue: Catalogue) -> Iterator[str]:
    found = facts.table
    yield f"## `{found.name}`"
    yield facts.description
    yield table(("", ""), [*facts_of(found).items(), *_rights(found.name, catalogue)])
    yield table(
        ("Column", "Type", "Null", "Default"),
        (
            (
                code(column.name),
                type_of(column) + (", sealed" if column.info.get("sealed") else ""),
                "yes" if column.nullable else "",
                given_to(column),
            )
            for column in found.columns
        ),
    )
    yield bullets("Constraints", map(code, sorted(map(constraint_of, found.constraints))))
    yield bullets("Indexes", map(code, sorted(map(index_of, found.indexes))))
    yield bullets(
        "Triggers",
        sorted(
            f"`{each.name}` {each.moment}: `{each.function}`"
            for each in catalogue.triggers.get(found.name, [])
        ),
    )


def _rights(name: str, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    yield "The application may", ", ".join(catalogue.rights.get((name, APP_ROLE), ["nothing"]))
    if (name, WORKER_ROLE) in catalogue.rights:
        yield "A worker may besides", ", ".join(catalogue.rights[name, WORKER_ROLE])


def _rollups(found: Sequence[TableFacts]) -> list[tuple[Series, Rollup]]:
    names = {each.table.name for each in found}
    return [
        (series, rollup) for series in SERIES if series.table in names for rollup in series.rollups
    ]


def _rollup(series: Series, rollup: Rollup) -> Iterator[str]:
    condition = "" if rollup.condition == "true" else f", of rows with `{rollup.condition}`"
    yield f"## `{rollup.name}`"
    yield (
        f"A rollup of `{series.table}` by {codes(rollup.keys)} and UTC `day`{condition}. Its days"
        " outlive the rows behind them."
    )
    yield table(
        ("Column", "Holds"),
        ((code(each.name), f"the {each.summary} of `{each.column}`") for each in rollup.values),
    )


def _views(found: Sequence[TableFacts], catalogue: Catalogue) -> dict[str, str]:
    """Return the views that read first what is on this page."""
    names = {each.table.name for each in found} | {rollup.name for _, rollup in _rollups(found)}
    return {
        name: query
        for name, query in catalogue.views.items()
        if (read := _READ_FIRST.search(query)) is not None and read[1] in names
    }
