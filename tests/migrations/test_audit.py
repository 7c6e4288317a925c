"""What is to be logged is logged: the triggers are those that the tables in the code ask for."""

import re
from importlib import import_module
from pkgutil import walk_packages

import pytest
from sqlalchemy import LargeBinary, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncEngine

import seawall
from seawall.db.base import Audit, Base

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)
TABLES = Base.metadata.sorted_tables
AUDITED = [table for table in TABLES if "audit" in table.info]
ROW_INSERT_UPDATE_DELETE = 1 | 4 | 8 | 16
STATEMENT_BEFORE_TRUNCATE = 2 | 32
STATEMENT_BEFORE_CHANGE = 2 | 4 | 8 | 16
SECRET = re.compile(r"password|passphrase|secret|token|_hash$|encrypted|cipher")


def _audit(table: Table) -> Audit:
    found = table.info["audit"]
    assert isinstance(found, Audit)
    return found


async def _triggers(engine: AsyncEngine, function: str) -> dict[str, tuple[str, int, list[str]]]:
    query = text(
        "SELECT relname, tgname, tgtype, tgenabled, encode(tgargs, 'escape') AS arguments"
        " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " JOIN pg_proc ON pg_proc.oid = tgfoid"
        " WHERE proname = :function AND tgname NOT LIKE '%audit_logs' AND tgname <> 'keep_voids'"
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query, {"function": function})).all()
    assert {row.tgenabled for row in rows} == {b"O"}
    assert len({row.relname for row in rows}) == len(rows)
    return {
        row.relname: (row.tgname, row.tgtype, row.arguments.split("\\000")[:-1]) for row in rows
    }


async def test_every_table_is_logged_as_its_code_says(admin: AsyncEngine) -> None:
    expected = {
        table.name: (
            f"audit_{table.name}",
            ROW_INSERT_UPDATE_DELETE,
            [",".join(_audit(table).redacted), ",".join(_audit(table).derived)],
        )
        for table in AUDITED
    }
    assert {"users", "portfolios", "orders", "system_settings"} <= set(expected)
    assert await _triggers(admin, "audit_row") == expected


async def test_every_logged_table_takes_its_chain_before_its_rows(admin: AsyncEngine) -> None:
    found = await _triggers(admin, "lock_audit_chain")
    assert {name: each[:2] for name, each in found.items()} == {
        table.name: (f"lock_{table.name}", STATEMENT_BEFORE_CHANGE) for table in AUDITED
    }


async def test_no_logged_table_is_emptied_past_the_log(admin: AsyncEngine) -> None:
    found = await _triggers(admin, "refuse_statement")
    assert {name: each[:2] for name, each in found.items()} == {
        table.name: (f"keep_{table.name}", STATEMENT_BEFORE_TRUNCATE) for table in AUDITED
    }


@pytest.mark.parametrize("table", [each for each in TABLES if each.info.get("tenant")], ids=str)
def test_a_tenant_s_table_is_logged_or_says_why_not(table: Table) -> None:
    assert ("audit" in table.info) != ("unaudited" in table.info)
    assert "audit" in table.info or len(table.info["unaudited"]) > 10


@pytest.mark.parametrize("table", AUDITED, ids=str)
def test_the_columns_that_are_treated_specially_are_there(table: Table) -> None:
    audit = _audit(table)
    assert {*audit.redacted, *audit.derived} <= set(table.columns.keys())
    assert not set(audit.redacted) & set(audit.derived), "a secret that changed is news"
    keys = {column.name for column in table.primary_key}
    assert not keys & set(audit.derived)


@pytest.mark.parametrize("table", AUDITED, ids=str)
def test_no_secret_is_logged(table: Table) -> None:
    sealed = {column.name for column in table.columns if column.info.get("sealed")}
    looks_secret = {
        column.name
        for column in table.columns
        if isinstance(column.type, Text | LargeBinary) and SECRET.search(column.name)
    }
    assert sealed | looks_secret <= set(_audit(table).redacted)
