"""What the migrations make besides tables: rights, triggers, views and functions.

They are run as Alembic runs them without a database, and their SQL is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from textwrap import dedent

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

import seawall

_GRANT = re.compile(r"^GRANT ([A-Z, ()a-z_0-9]+) ON (\w+) TO (\w+);", re.MULTILINE)
_REVOKE = re.compile(r"^REVOKE ([A-Z, ]+) ON (\w+) FROM (\w+);", re.MULTILINE)
_TRIGGER = re.compile(
    r"^\s*CREATE (?:CONSTRAINT )?TRIGGER (\w+)\s+(BEFORE|AFTER)\s+(.+?)\s+ON\s+(\w+)\s"
    r".*?EXECUTE FUNCTION\s+(\w+)\(",
    re.MULTILINE | re.DOTALL,
)
_VIEW = re.compile(r"^\s*CREATE VIEW (\w+) WITH \([^)]*\) AS\n(.+?);", re.MULTILINE | re.DOTALL)
_FUNCTION = re.compile(r"^\s*CREATE FUNCTION (\w+)\((.*?)\)\s+RETURNS\s", re.MULTILINE | re.DOTALL)
_EXECUTE = re.compile(r"^GRANT EXECUTE ON FUNCTION ([\w, ]+) TO (\w+);", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a trigger fires, and the function that it calls."""

    name: str
    moment: str
    function: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a role may call; one that runs as its owner opens a door for it."""

    name: str
    arguments: str
    caller: str
    is_door: bool


@dataclass(slots=True)
class Catalogue:
    """Rights by table and role, triggers by table, views by name, functions."""

    rights: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    triggers: dict[str, list[Trigger]] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)


def read_catalogue() -> Catalogue:
    """Read the SQL of every migration, from the first to the newest."""
    sql = _migrations()
    found = Catalogue(views={name: dedent(query) for name, query in _VIEW.findall(sql)})
    for privileges, table, role in _GRANT.findall(sql):
        found.rights.setdefault((table, role), []).append(privileges)
    for privileges, table, role in _REVOKE.findall(sql):
        found.rights[table, role] = [
            left
            for each in found.rights[table, role]
            if (left := _without(each, privileges.split(", ")))
        ]
    for name, when, events, table, function in _TRIGGER.findall(sql):
        moment = " ".join(f"{when} {events}".split())
        found.triggers.setdefault(table, []).append(Trigger(name, moment, function))
    found.functions = sorted(_functions(sql), key=lambda each: each.name)
    return found


def _without(privileges: str, revoked: list[str]) -> str:
    return ", ".join(each for each in privileges.split(", ") if each not in revoked)


def _migrations() -> str:
    script = ScriptDirectory(Path(seawall.__file__).parent / "migrations")
    output = StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    with Operations.context(context):
        for revision in reversed(list(script.walk_revisions())):
            revision.module.upgrade()
    return output.getvalue()


def _functions(sql: str) -> Iterator[Function]:
    made = {found[1]: found for found in _FUNCTION.finditer(sql)}
    for names, role in _EXECUTE.findall(sql):
        for name in names.split(", "):
            head = sql[made[name].end() :].partition("$$")[0]
            arguments = " ".join(made[name][2].split())
            yield Function(name, arguments, role, "SECURITY DEFINER" in head)
