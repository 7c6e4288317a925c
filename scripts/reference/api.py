"""The shape of the API's first version, as programs rely on it: operations, parameters, schemas."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from scripts.reference.contract import find_breaks
from seawall.api.app import build_app

NAME = "openapi-v1.json"
_WORDS = frozenset({"title", "description", "summary", "examples", "example", "tags"})
"""What is said for people, and may be said better at any time."""
_NAMED = frozenset({"properties", "schemas", "paths", "responses", "content", "headers", "mapping"})
"""What has names of the API for keys, which may be any word."""


def api_page() -> str:
    """Write the shape of the API."""
    return write(build_app().openapi())


def write(schema: Mapping[str, Any]) -> str:
    """Write the shape of a schema, without the words for people."""
    kept = {"openapi": schema["openapi"], "paths": schema["paths"]}
    kept["components"] = {"schemas": schema["components"]["schemas"]}
    return json.dumps(_strip(kept), indent=1, sort_keys=True) + "\n"


def _strip(node: Any, *, names: bool = False) -> Any:
    if isinstance(node, list):
        return [_strip(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _strip(each, names=name in _NAMED and not names)
        for name, each in node.items()
        if names or name not in _WORDS
    }


def broken_promises(folder: Path, written: str, today: date) -> list[str]:
    """Name what was promised in a folder's page and is no longer kept; of no page nothing.

    Raises:
        ValueError: the page is not JSON, as while two branches are brought together.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    return find_breaks(json.loads(path.read_text(encoding="utf-8")), json.loads(written), today)
