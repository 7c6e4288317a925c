"""Sparse answers: `fields=id,name` shows no more than that of a resource, or of a list's items.

It is done where answers leave, so that operations need not know of it. Without `fields` a request
passes at the cost of one look at its query.
"""

from collections.abc import Iterable, Sequence
from typing import Any, get_args
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.api.bodies import names_tag, tag_of
from seawall.api.errors import answer
from seawall.core.errors import InvalidError, name_some

CHOSEN = "fields_chosen"
"""Set in the scope of a request whose operation has chosen the fields by itself."""
_JSON = b"application/json"
_LISTED = "items"
_CUT_AGAIN = (b"content-length", b"etag")
PARAMETER: dict[str, Any] = {
    "name": "fields",
    "in": "query",
    "required": False,
    "description": "Which fields are shown, by commas: of the items, where it is a list.",
    "schema": {"type": "string", "title": "Fields"},
}


class Fields:
    """The layer that shows no more than the fields that were asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and cut its answer where `fields` says so."""
        wanted = _wanted(scope)
        if wanted is None:
            await self._app(scope, receive, send)
            return
        known = dict(scope["headers"]).get(b"if-none-match")
        # What the client knows is the cut answer, which no operation can compare.
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"if-none-match"]
        whole = _Whole(scope, send)
        await self._app(scope, receive, whole)
        if whole.start is not None:
            await _cut(scope, whole, wanted, known)(scope, receive, send)


def _wanted(scope: Scope) -> list[str] | None:
    if scope["type"] != "http" or b"fields=" not in scope["query_string"]:
        return None
    found = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("fields")
    if found is None or scope["method"] != "GET":
        return None
    return [name.strip() for each in found for name in each.split(",")]


class _Whole:
    """Keeps an answer that may be cut until all of it is there, and sends on what may not."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.start: Message | None = None
        self.body = bytearray()
        self._scope, self._send = scope, send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if message["status"] == 200 and kind == _JSON and not self._scope.get(CHOSEN):  # noqa: PLR2004
                self.start = message
                return
        if self.start is None:
            await self._send(message)
        else:
            self.body += message.get("body", b"")


def _cut(scope: Scope, whole: _Whole, wanted: Sequence[str], known: bytes | None) -> Response:
    assert whole.start is not None  # noqa: S101 - the caller has looked
    document = orjson.loads(whole.body)
    assert isinstance(document, dict)  # noqa: S101 - every operation tells an object
    try:
        _require(wanted, _names(getattr(scope.get("route"), "response_model", None), document))
    except InvalidError as error:
        return answer(scope.get("request_id", ""), error)
    chosen = frozenset(wanted)
    if _is_list(document):
        document[_LISTED] = [_only(each, chosen) for each in document[_LISTED]]
    else:
        document = _only(document, chosen)
    headers = [each for each in whole.start["headers"] if each[0] not in _CUT_AGAIN]
    content = orjson.dumps(document)
    status = 200
    if any(name == b"etag" for name, _ in whole.start["headers"]):
        tag = tag_of(content)
        headers.append((b"etag", tag.encode()))
        if known is not None and names_tag(known.decode("latin-1"), tag):
            status, content = 304, b""
            headers = [each for each in headers if each[0] != b"content-type"]
    cut = Response(content, status)
    cut.raw_headers = [*headers, *(each for each in cut.raw_headers if status == 200)]  # noqa: PLR2004
    return cut


def _is_list(document: Any) -> bool:
    listed = document.get(_LISTED) if isinstance(document, dict) else None
    return isinstance(listed, list) and all(isinstance(each, dict) for each in listed)


def _only(resource: dict[str, Any], chosen: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name in chosen}


def _names(model: Any, document: dict[str, Any]) -> list[str]:
    """Return which fields there are: of the model, for a list may be empty."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return list(document)
    listed = model.model_fields.get(_LISTED)
    for item in () if listed is None else get_args(listed.annotation):
        if isinstance(item, type) and issubclass(item, BaseModel):
            return list(item.model_fields)
    return list(model.model_fields)


def _require(wanted: Sequence[str], names: Iterable[str]) -> None:
    there = list(names)
    unknown = [each for each in wanted if each not in there]
    if unknown:
        raise InvalidError(
            f"There is no field {name_some([repr(each[:50]) for each in unknown], 3)}.",
            hint=f"There are {', '.join(there)}.",
        )


def chosen_of(wanted: str | None, names: Sequence[str]) -> list[str]:
    """Return those of these fields that are wanted, in their order; all when nothing is said.

    Raises:
        InvalidError: one is not there.
    """
    if wanted is None:
        return list(names)
    asked = [each.strip() for each in wanted.split(",")]
    _require(asked, names)
    return [each for each in names if each in asked]


def describe(schema: dict[str, Any]) -> None:
    """Tell in the schema that everything that is read as JSON can be cut."""
    for methods in schema["paths"].values():
        operation = methods.get("get")
        if operation is None or "application/json" not in _shown(operation):
            continue
        parameters = operation.setdefault("parameters", [])
        if all(each.get("name") != "fields" for each in parameters):
            parameters.append(PARAMETER)


def _shown(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation["responses"].get("200", {}).get("content", {})
    return found
