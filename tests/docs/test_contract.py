"""Version 1 of the API is as it was promised, and a break of any kind is found and named."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.reference.__main__ import main
from scripts.reference.api import NAME, api_page, broken_promises, write
from scripts.reference.contract import find_breaks

TODAY = date(2026, 6, 1)
Document = dict[str, Any]

PROMISED: Document = {
    "openapi": "3.1.0",
    "paths": {
        "/things/{id}": {
            "patch": {
                "operationId": "changeThing",
                "security": [{"bearer": []}, {"cookie": []}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {
                        "name": "limit",
                        "in": "query",
                        "schema": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 200,
                            "default": 50,
                        },
                    },
                    {"name": "If-Match", "in": "header", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Change"}},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}
                        },
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                    },
                    "304": {},
                },
            },
        },
        "/open": {"get": {"operationId": "open", "responses": {"200": {}}}},
    },
    "components": {
        "schemas": {
            "Change": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 9},
                    "kind": {"enum": ["a", "b"], "type": "string"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": "x"},
                    "more": {"type": "array", "items": {"type": "number"}},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id", "kind"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "kind": {"enum": ["a", "b"], "type": "string"},
                    "value": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                    "byName": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
            },
        }
    },
}


def _operation(document: Document) -> Any:
    return document["paths"]["/things/{id}"]["patch"]


def _change(document: Document) -> Any:
    return document["components"]["schemas"]["Change"]


def _thing(document: Document) -> Any:
    return document["components"]["schemas"]["Thing"]


def _body(document: Document) -> Any:
    return _operation(document)["requestBody"]


def _limit(document: Document) -> Any:
    return _operation(document)["parameters"][1]


def _answers(document: Document) -> Any:
    return _operation(document)["responses"]


Edit = Callable[[Document], object]
NEW = {"name": "new", "in": "query", "required": True, "schema": {"type": "string"}}
BREAKS: dict[str, tuple[Edit, str]] = {
    "a path": (lambda d: d["paths"].pop("/open"), "GET /open: was removed"),
    "a method": (
        lambda d: d["paths"]["/things/{id}"].pop("patch"),
        "PATCH /things/{id}: was removed",
    ),
    "a name": (lambda d: _operation(d).update(operationId="x"), "no longer called changeThing"),
    "a way in": (lambda d: _operation(d)["security"].pop(), "no longer takes cookie"),
    "openness": (
        lambda d: d["paths"]["/open"]["get"].update(security=[{"bearer": []}]),
        "GET /open: needs a login",
    ),
    "a parameter": (
        lambda d: _operation(d)["parameters"].pop(1),
        "PATCH /things/{id} query limit: was removed",
    ),
    "a header": (lambda d: _operation(d)["parameters"].pop(2), "header if-match: was removed"),
    "a new parameter": (
        lambda d: _operation(d)["parameters"].append(NEW),
        "query new: is new and required",
    ),
    "a required parameter": (
        lambda d: _limit(d).update(required=True),
        "query limit: is required, which it was not",
    ),
    "a lower maximum": (lambda d: _limit(d)["schema"].update(maximum=100), "limit: maximum 100"),
    "a higher minimum": (lambda d: _limit(d)["schema"].update(minimum=2), "limit: minimum 2"),
    "another default": (
        lambda d: _limit(d)["schema"].update(default=20),
        "limit: without it 20 is taken, not 50",
    ),
    "another type": (
        lambda d: _limit(d).update(schema={"type": "boolean", "default": 50}),
        "limit: integer is no longer taken",
    ),
    "a new pattern": (
        lambda d: _change(d)["properties"]["name"].update(pattern="^x"),
        "body application/json.name: pattern '^x'",
    ),
    "a shorter text": (
        lambda d: _change(d)["properties"]["name"].update(maxLength=8),
        ".name: maxLength 8",
    ),
    "a word that was taken": (
        lambda d: _change(d)["properties"]["kind"].update(enum=["a"]),
        ".kind: 'b' is no longer taken",
    ),
    "words at all": (
        lambda d: _change(d)["properties"]["name"].update(enum=["a"]),
        ".name: is one of a few words now",
    ),
    "a null that was taken": (
        lambda d: _change(d)["properties"].update(note={"type": "string", "default": "x"}),
        ".note: null is no longer taken",
    ),
    "a property that was taken": (
        lambda d: _change(d)["properties"].pop("more"),
        "body application/json.more: was removed",
    ),
    "a required property": (
        lambda d: _change(d)["required"].append("kind"),
        ".kind: is required, which it was not",
    ),
    "items that were taken": (
        lambda d: _change(d)["properties"]["more"].update(items={"type": "integer"}),
        ".more[]: number is no longer taken",
    ),
    "a body": (lambda d: _operation(d).pop("requestBody"), "body: was removed"),
    "a required body": (lambda d: _body(d).update(required=True), "body: is required"),
    "a new body": (
        lambda d: d["paths"]["/open"]["get"].update(requestBody={"required": True, "content": {}}),
        "GET /open body: is new and required",
    ),
    "a kind of body": (lambda d: _body(d)["content"].pop("text/csv"), "body text/csv: was removed"),
    "an answer": (lambda d: _answers(d).pop("304"), "answer 304: was removed"),
    "an answer's header": (
        lambda d: _answers(d)["200"]["headers"].pop("ETag"),
        "answer 200 header ETag: was removed",
    ),
    "a kind of answer": (
        lambda d: _answers(d)["200"]["content"].pop("application/json"),
        "answer 200 application/json: was removed",
    ),
    "a property that was told": (
        lambda d: _thing(d)["properties"].pop("value"),
        "answer 200 application/json.value: was removed",
    ),
    "a property that was there": (
        lambda d: _thing(d)["required"].remove("kind"),
        ".kind: may be lacking now",
    ),
    "a null that was never told": (
        lambda d: _thing(d)["properties"].update(id={"type": ["string", "null"], "format": "uuid"}),
        ".id: null may be told now",
    ),
    "another type that is told": (
        lambda d: _thing(d)["properties"]["value"]["anyOf"].append({"type": "string"}),
        ".value: string may be told now",
    ),
    "another format": (
        lambda d: _thing(d)["properties"]["id"].pop("format"),
        ".id: format 'uuid'",
    ),
    "items that were told": (
        lambda d: _thing(d)["properties"]["parts"].update(items={"type": "string"}),
        ".parts[]: string may be told now",
    ),
    "values that were told": (
        lambda d: _thing(d)["properties"]["byName"].update(additionalProperties={"type": "string"}),
        ".byName.*: string may be told now",
    ),
    "values of any kind": (
        lambda d: _thing(d)["properties"]["byName"].pop("additionalProperties"),
        ".byName: has to be something now",
    ),
}
ADDITIONS: dict[str, Edit] = {
    "an operation": lambda d: d["paths"].update({"/new": copy.deepcopy(d["paths"]["/open"])}),
    "a parameter": lambda d: _operation(d)["parameters"].append(NEW | {"required": False}),
    "a wider range": lambda d: _limit(d)["schema"].update(minimum=0, maximum=500),
    "a wider type": lambda d: _limit(d)["schema"].update(type="number"),
    "a word to send": lambda d: _change(d)["properties"]["kind"]["enum"].append("c"),
    "a word that is told": lambda d: _thing(d)["properties"]["kind"]["enum"].append("c"),
    "less that is told": lambda d: _thing(d)["properties"].update(value={"type": "number"}),
    "a property to send": lambda d: _change(d)["properties"].update(new={"type": "string"}),
    "a property that is told": lambda d: _thing(d)["properties"].update(new={"type": "string"}),
    "less that is required": lambda d: _change(d)["required"].clear(),
    "a null to send": lambda d: _change(d)["properties"].update(
        name={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "an answer": lambda d: _answers(d).update({"202": {}}),
    "a kind of body": lambda d: _body(d)["content"].update({"application/x": {}}),
    "a schema's name": lambda d: d["components"]["schemas"].update(Other={"type": "string"}),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_break_is_found_and_named(what: str) -> None:
    edit, named = BREAKS[what]
    changed = copy.deepcopy(PROMISED)
    edit(changed)
    found = find_breaks(PROMISED, changed, TODAY)
    assert len(found) == 1, found
    assert named in found[0]


@pytest.mark.parametrize("what", ADDITIONS)
def test_what_is_added_breaks_nothing_but_cannot_be_taken_back(what: str) -> None:
    changed = copy.deepcopy(PROMISED)
    ADDITIONS[what](changed)
    assert changed != PROMISED
    assert find_breaks(PROMISED, changed, TODAY) == []


def test_what_was_announced_may_go_when_its_time_has_come() -> None:
    announced = copy.deepcopy(PROMISED)
    announced["paths"]["/open"]["get"]["x-sunset"] = "2026-06-02T00:00:00Z"
    gone = copy.deepcopy(PROMISED)
    del gone["paths"]["/open"]
    assert find_breaks(announced, gone, TODAY) == ["GET /open: was removed"]
    assert find_breaks(announced, gone, date(2026, 6, 2)) == []


@pytest.fixture(scope="module")
def served() -> Document:
    found: Document = json.loads(api_page())
    return found


def test_the_api_keeps_what_was_promised(root: Path) -> None:
    assert broken_promises(root / "docs" / "reference", api_page(), TODAY) == []


Pruning = tuple[str, str, dict[str, Any] | list[Any], Any]
REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def _prunings(document: Document) -> Iterator[Pruning]:
    """Everything of the real API that nobody may take away: its path, what holds it, and where."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", path, operations, method
            for at, each in enumerate(operation.get("parameters", ())):
                yield f"{method} {path} {each['name']}", path, operation["parameters"], at
            for status in operation["responses"]:
                yield f"{method} {path} {status}", path, operation["responses"], status
    paths = _first_paths(document)
    for name, schema in document["components"]["schemas"].items():
        for each in schema.get("properties", ()):
            yield f"{name}.{each}", paths[name], schema["properties"], each


def _first_paths(document: Document) -> dict[str, str]:
    """A path whose operations come to a schema, for each of them."""
    schemas = document["components"]["schemas"]
    below = {name: REFERENCE.findall(json.dumps(schema)) for name, schema in schemas.items()}
    found: dict[str, str] = {}
    for path, operations in document["paths"].items():
        waiting = REFERENCE.findall(json.dumps(operations))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = path
                waiting += below[name]
    return found


def _of_path(document: Document, path: str) -> Document:
    """The document as far as it concerns a path: to compare all of it each time takes long."""
    return document | {"paths": {path: document["paths"][path]}}


def test_nothing_of_the_real_api_can_be_taken_away_unseen(served: Document) -> None:
    assert find_breaks(served, served, TODAY) == []
    pruned = copy.deepcopy(served)
    places = list(_prunings(pruned))
    assert len(places) > 300
    # Each is the only thing that is lacking.
    for what, path, holder, key in places:
        taken = holder.pop(key)
        assert find_breaks(_of_path(served, path), _of_path(pruned, path), TODAY), what
        if isinstance(holder, list):
            holder.insert(key, taken)
        else:
            holder[key] = taken
    assert pruned == served


def test_writing_refuses_a_break_unless_it_is_meant(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / NAME
    promised = json.loads((root / "docs" / "reference" / NAME).read_text(encoding="utf-8"))
    promised["paths"]["/api/v1/gone"] = PROMISED["paths"]["/open"]
    page.write_text(json.dumps(promised))
    asked = ["reference", "--folder", str(tmp_path), "--client", str(tmp_path / "client")]

    monkeypatch.setattr("sys.argv", asked)
    assert main() == 1
    told = capsys.readouterr().err
    assert "GET /api/v1/gone: was removed" in told
    assert "--break-api" in told
    assert json.loads(page.read_text()) == promised

    monkeypatch.setattr("sys.argv", [*asked, "--break-api"])
    assert main() == 0
    assert "/api/v1/gone" not in page.read_text()


def test_words_for_people_are_no_promise() -> None:
    assert '"description": "' not in api_page()
    named = {"title": "x", "type": "object", "properties": {"title": {"title": "T"}}}
    document = {"openapi": "3.1.0", "paths": {}, "components": {"schemas": {"A": named}}}
    kept = json.loads(write(document))["components"]["schemas"]["A"]
    assert kept == {"type": "object", "properties": {"title": {}}}


def test_a_page_in_the_middle_of_a_merge_is_named(tmp_path: Path) -> None:
    assert broken_promises(tmp_path, api_page(), TODAY) == []
    (tmp_path / NAME).write_text("<<<<<<< ours\n{}\n")
    with pytest.raises(ValueError, match="line 1"):
        broken_promises(tmp_path, api_page(), TODAY)
