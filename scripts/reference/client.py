"""The client's operations and values, written from the API's schema: one module a tag."""

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seawall.api.app import build_app

RULES = Path(__file__).parents[2] / "pyproject.toml"
_JSON = "application/json"
_FORMATS = {"uuid": "UUID", "date-time": "datetime", "date": "date", "decimal": "Decimal"}
_PLAIN = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_SKIPPED = frozenset({"fields", "if-none-match", "last-event-id"})
"""With these an answer is not whole, or is none."""
_HEADERS = {"idempotency-key": "Idempotency-Key", "if-match": "If-Match"}
_IMPORTS = """
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Accept, Connection, Omitted, Request
"""
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the schema."""

    method: str
    path: str
    told: Schema

    @property
    def name(self) -> str:
        """Return its name in Python."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.told["operationId"]).lower()

    @property
    def tag(self) -> str:
        """Return the module that it belongs to."""
        return str(self.told.get("tags", ["account"])[0]).replace("-", "_")

    @property
    def answers(self) -> Mapping[str, Schema]:
        """Return what it answers when all is well, by media type."""
        for status, answer in self.told["responses"].items():
            if status.startswith("2"):
                found: Mapping[str, Schema] = answer.get("content", {})
                return found
        return {}

    @property
    def body(self) -> Mapping[str, Schema]:
        """Return what it takes, by media type."""
        found: Mapping[str, Schema] = self.told.get("requestBody", {}).get("content", {})
        return found


class Writer:
    """Writes the modules of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schemas: Schema = schema["components"]["schemas"]
        self._operations = [
            Operation(method.upper(), path, told)
            for path, methods in schema["paths"].items()
            for method, told in methods.items()
        ]
        self._operations = [
            each for each in self._operations if "text/event-stream" not in each.answers
        ]
        self._homes = self._find_homes()

    def modules(self) -> dict[str, str]:
        """Return the text of each module by its name."""
        tags = sorted({each.tag for each in self._operations})
        written = {f"{tag}.py": self._module(tag) for tag in tags}
        written["shared.py"] = self._shared()
        written["__init__.py"] = self._package(tags)
        return dict(zip(written, _formatted(list(written.values())), strict=True))

    def _find_homes(self) -> dict[str, str]:
        users: dict[str, set[str]] = {}
        for each in self._operations:
            for name in self._reached([each.answers, self._nested(each)]):
                users.setdefault(name, set()).add(each.tag)
        return {name: tags.pop() if len(tags) == 1 else "shared" for name, tags in users.items()}

    def _nested(self, operation: Operation) -> list[Schema]:
        # A body's own fields become arguments; what lies in them are values.
        body = operation.body.get(_JSON)
        if body is None:
            return []
        return list(self._fields(body["schema"]).values())

    def _reached(self, node: Any) -> set[str]:
        found: set[str] = set()
        waiting = [node]
        while waiting:
            each = waiting.pop()
            if isinstance(each, Mapping):
                name = _ref(each)
                if name is not None and name not in found:
                    found.add(name)
                    waiting.append(self._schemas[name])
                waiting.extend(each.values())
            elif isinstance(each, list):
                waiting.extend(each)
        return found

    def _fields(self, schema: Schema) -> Mapping[str, Schema]:
        name = _ref(schema)
        found: Mapping[str, Schema] = (self._schemas[name] if name else schema).get(
            "properties", {}
        )
        return found

    def _module(self, tag: str) -> str:
        own = [each for each in self._operations if each.tag == tag]
        values = [name for name, home in self._homes.items() if home == tag]
        shared = sorted(
            _class(name)
            for name in self._reached([[each.answers, self._nested(each)] for each in own])
            if self._homes[name] == "shared"
        )
        parts = [f'"""{tag.replace("_", " ").capitalize()}: written by `make docs`."""', _IMPORTS]
        if shared:
            parts.append(f"from seawall.client.generated.shared import {', '.join(shared)}")
        parts += self._values(values)
        parts.append(f"class {_title(tag)}(Connection):")
        parts.append(f'    """What the API does about {tag.replace("_", " ")}."""')
        for each in sorted(own, key=lambda operation: operation.name):
            parts.append(textwrap.indent("\n".join(self._operation(each)), "    "))
        return "\n".join(parts)

    def _shared(self) -> str:
        values = [name for name, home in self._homes.items() if home == "shared"]
        doc = '"""What several parts of the API answer with: written by `make docs`."""'
        return "\n".join([doc, _IMPORTS, *self._values(values)])

    def _package(self, tags: Iterable[str]) -> str:
        tags = list(tags)
        imports = [f"from seawall.client.generated.{tag} import {_title(tag)}" for tag in tags]
        bases = ", ".join(map(_title, tags))
        return "\n".join(
            [
                '"""Every operation of the API: written by `make docs`."""',
                *imports,
                f"class Operations({bases}):",
                '    """Every operation of the API."""',
            ]
        )

    def _values(self, names: Iterable[str]) -> Iterator[str]:
        # In an order in which each stands after what it is made of.
        done: list[str] = []
        waiting = sorted(names)
        while waiting:
            ready = [
                name
                for name in waiting
                if not (self._reached(self._schemas[name]) - {name}) & set(waiting)
            ] or waiting[:1]
            done += ready
            waiting = [name for name in waiting if name not in ready]
        for name in done:
            yield self._value(name)

    def _value(self, name: str) -> str:
        schema = self._schemas[name]
        if "properties" not in schema:
            return f"{_class(name)} = {self._type(schema)}\n"
        lines = ["@dataclass(frozen=True, slots=True, kw_only=True)", f"class {_class(name)}:"]
        said = _docstring(schema.get("description") or "A page of a list.")
        lines += textwrap.indent(said, "    ").split("\n")
        required = set(schema.get("required", ()))
        for field_, told in schema["properties"].items():
            # What a newer server adds is passed over; what an older one lacks is None.
            kind = self._type(told)
            default = "" if field_ in required else " = None"
            if default and not kind.endswith("None") and kind != "Any":
                kind = f"{kind} | None"
            lines.append(f"    {_name(field_)}: {kind}{default}")
        return "\n".join(lines) + "\n"

    def _type(self, schema: Schema, *, asked: bool = False) -> str:
        name = _ref(schema)
        told = self._schemas[name] if name is not None else schema
        if "enum" in told and asked:
            return f"Literal[{', '.join(map(repr, told['enum']))}]"
        if name is not None:
            return _class(name)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            kinds = [self._type(each, asked=asked) for each in choices]
            return " | ".join(dict.fromkeys(sorted(kinds, key="None".__eq__)))
        return self._plain_type(schema, asked=asked)

    def _plain_type(self, schema: Schema, *, asked: bool) -> str:
        kind = schema.get("type", "")
        if kind == "string" or "const" in schema:
            return _FORMATS.get(schema.get("format", ""), "str")
        if kind == "array":
            return f"list[{self._type(schema.get('items', {}), asked=asked)}]"
        if kind == "object":
            more = schema.get("additionalProperties")
            inner = self._type(more, asked=asked) if isinstance(more, Mapping) and more else "Any"
            return f"dict[str, {inner}]"
        return _PLAIN.get(kind, "Any")

    def _operation(self, operation: Operation) -> Iterator[str]:
        yield from self._method(operation, raw=False)
        others = set(operation.answers) - {_JSON}
        if _JSON in operation.answers and others:
            yield from self._method(operation, raw=True)

    def _method(self, operation: Operation, *, raw: bool) -> Iterator[str]:
        call = _Call(self._type, operation)
        body = operation.body
        if _JSON in body:
            # Where it may be of another kind, it may as well not be of this one.
            required = set() if set(body) - {_JSON} else self._required(body[_JSON]["schema"])
            call.body(self._fields(body[_JSON]["schema"]), required)
        if set(body) - {_JSON}:
            call.content(alone=_JSON not in body)
        kind = "bytes" if raw else self._answer(operation)
        name = f"{operation.name}_as" if raw else operation.name
        if raw:
            call.accept()
        yield f"def {name}({call.signature()}) -> {kind}:"
        told = operation.told
        said = told.get("description") or told.get("summary") or operation.name
        yield textwrap.indent(_docstring(said), "    ")
        yield f"    request = {call.request()}"
        if raw:
            yield "    return self.raw(request).content"
        elif kind == "None":
            yield "    self.raw(request)"
        else:
            yield f"    return self.send(request, TypeAdapter({kind}))"
        yield ""

    def _required(self, schema: Schema) -> set[str]:
        name = _ref(schema)
        return set((self._schemas[name] if name else schema).get("required", ()))

    def _answer(self, operation: Operation) -> str:
        answer = operation.answers.get(_JSON)
        if answer is None or not answer.get("schema"):
            return "None"
        return self._type(answer["schema"])


class _Call:
    """What a method takes, and how it becomes a request."""

    def __init__(self, kind: Any, operation: Operation) -> None:
        self._kind = kind
        self._operation = operation
        self._path: list[str] = []
        self._needed: list[str] = []
        self._more: list[str] = []
        self._parts: list[str] = []
        self._query: list[str] = []
        self._headers: list[str] = []
        self._is_named = False
        for each in operation.told.get("parameters", ()):
            self._parameter(each)

    def _parameter(self, told: Schema) -> None:
        name, place = told["name"], told["in"]
        if name.lower() in _SKIPPED:
            return
        if place == "path":
            self._path.append(f"{_name(name)}: {self._kind(told['schema'], asked=True)}")
        elif place == "header" and name.lower() in _HEADERS:
            argument = name.lower().replace("-", "_")
            self._more.append(f"{argument}: str | None = None")
            self._headers.append(f"{_HEADERS[name.lower()]!r}: {argument}")
            self._is_named = self._is_named or argument == "idempotency_key"
        elif place == "query":
            self._argument(name, told["schema"], told.get("required", False))
            self._query.append(f"{name!r}: {_name(name)}")

    def _argument(self, name: str, schema: Schema, required: bool) -> None:  # noqa: FBT001 - as it is read
        kind = self._kind(schema, asked=True)
        if required:
            self._needed.append(f"{_name(name)}: {kind}")
        else:
            bare = kind.removesuffix(" | None")
            null = " | None" if bare != kind else ""
            self._more.append(f"{_name(name)}: {bare} | Omitted{null} = OMITTED")

    def body(self, fields: Mapping[str, Schema], required: set[str]) -> None:
        """Take the fields of a JSON body, each by its name."""
        for name, schema in fields.items():
            self._argument(name, schema, name in required)
        pairs = ", ".join(f"{name!r}: {_name(name)}" for name in fields)
        self._parts.append(f"json={{{pairs}}}")

    def content(self, *, alone: bool) -> None:
        """Take a body of another kind, as it is."""
        if alone:
            self._path.append("content: bytes | str")
        else:
            self._path.append("content: bytes | str | None = None")
        self._parts.append("content=content")

    def accept(self) -> None:
        """Take the kind of answer that is wanted."""
        self._path.append("accept: Accept")
        self._headers.append("'Accept': accept")

    def signature(self) -> str:
        """Return what stands in the parentheses."""
        keywords = [*self._needed, *self._more]
        return ", ".join(["self", *self._path, *(["*", *keywords] if keywords else [])])

    def request(self) -> str:
        """Return the expression of the request."""
        path = re.sub(r"{(\w+)}", lambda found: f"{{{_name(found[1])}}}", self._operation.path)
        prefix = "f" if "{" in path else ""
        parts = [f'"{self._operation.method}"', f'{prefix}"{path}"']
        if self._query:
            parts.append(f"query={{{', '.join(self._query)}}}")
        parts += self._parts
        if self._headers:
            parts.append(f"headers={{{', '.join(self._headers)}}}")
        if self._is_named:
            parts.append("is_named=True")
        return f"Request({', '.join(parts)})"


def _ref(schema: Any) -> str | None:
    found = schema.get("$ref") if isinstance(schema, Mapping) else None
    return str(found).rpartition("/")[2] if isinstance(found, str) else None


def _class(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _title(tag: str) -> str:
    return "".join(part.capitalize() for part in tag.split("_")) + "Operations"


def _name(name: str) -> str:
    cleaned = name.replace("-", "_")
    return f"{cleaned}_" if keyword.iskeyword(cleaned) else cleaned


def _docstring(text: str) -> str:
    first, *rest = text.strip().replace("\\", "\\\\").replace('"""', "'''").split("\n")
    if not rest:
        return f'"""{first}"""'
    return "\n".join([f'"""{first}', *(line.rstrip() for line in rest), '"""'])


def _formatted(texts: Sequence[str]) -> list[str]:
    """Return modules as the project's rules have them; all at once, as starting takes longest."""
    commands = (["check", "--fix-only", "--select", "F401,I,UP"], ["format"])
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"generated{at}.py" for at in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "-q", "--config", str(RULES), folder],
                cwd=RULES.parent,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(done.stderr or done.stdout)
        return [path.read_text(encoding="utf-8") for path in paths]


def client_modules() -> dict[str, str]:
    """Return the modules of `seawall.client.generated` by their names."""
    return Writer(build_app().openapi()).modules()
