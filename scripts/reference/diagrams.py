"""Diagrams of tables and how they lead to one another, in Mermaid."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Column, Table

from scripts.reference.markdown import fence
from scripts.reference.schema import type_of

NAMED_BY = {
    "asset_id": "assets",
    "benchmark_asset_id": "assets",
    "symbol_id": "symbols",
    "model_version_id": "model_versions",
}
"""What the columns of a series point to, although no foreign key holds it."""


def overview(domains: Mapping[str, Sequence[Table]]) -> str:
    """Draw every table by its name, domain by domain, and how they lead to one another."""
    lines = ["erDiagram"]
    for domain, tables in domains.items():
        lines.append(f"    %% {domain}")
        lines += [f"    {table.name}" for table in tables]
        for table in tables:
            # Of several lines to one table, one that always leads there comes last, and stays.
            lines_to = {parent: line for line, parent in sorted(_ends(table))}
            lines += [
                f'    {parent} {line} {table.name} : ""'
                for parent, line in sorted(lines_to.items())
            ]
    return fence("mermaid", "\n".join(lines))


def diagram(tables: Sequence[Table]) -> str:
    """Draw a domain's tables with their keys; those of other domains have their names alone."""
    lines = ["erDiagram"]
    for table in tables:
        lines.append(f"    {table.name} {{")
        lines += [f"        {_attribute(each)}" for each in table.columns if _is_key(each)]
        lines.append("    }")
    links = {
        f'    {parent} {line} {table.name} : "{label}"'
        for table in tables
        for parent, line, label in _links(table)
    }
    return fence("mermaid", "\n".join([*lines, *sorted(links)]))


def _is_key(column: Column[object]) -> bool:
    return column.primary_key or bool(column.foreign_keys) or column.name in NAMED_BY


def _attribute(column: Column[object]) -> str:
    kind = type_of(column).partition("(")[0].replace(" ", "_")
    marks = [
        name
        for name, is_one in (("PK", column.primary_key), ("FK", bool(column.foreign_keys)))
        if is_one
    ]
    return f"{kind} {column.name} {', '.join(marks)}".rstrip()


def _ends(table: Table) -> Iterator[tuple[str, str]]:
    for parent, line, _ in _links(table):
        if parent != table.name:
            yield line, parent


def _links(table: Table) -> Iterator[tuple[str, str, str]]:
    """Yield what a table leads to: the other table, the line between them, by which columns."""
    for key in table.foreign_key_constraints:
        end = "|o" if any(column.nullable for column in key.columns) else "||"
        yield key.referred_table.name, f"{end}--o{{", ", ".join(key.column_keys)
    for column in table.columns:
        if column.name in NAMED_BY and not column.foreign_keys:
            yield NAMED_BY[column.name], "||..o{", column.name
