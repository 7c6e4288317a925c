"""What breaks between two OpenAPI documents: requests may only loosen, answers may only extend."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from scripts.reference.shapes import Shapes, Way

Document = Mapping[str, Any]


def find_breaks(old: Document, new: Document, today: date) -> list[str]:
    """Name what a program that was written for the old document would stumble over in the new one.

    What may change is listed in docs/api.md. An operation whose sunset has passed may go.
    """
    compared = _Comparison(old, new, today)
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            there = new["paths"].get(path, {}).get(method)
            compared.operation(f"{method.upper()} {path}", operation, there)
    return compared.breaks


@dataclass(frozen=True, slots=True)
class _Comparison:
    old: Document
    new: Document
    today: date
    breaks: list[str] = field(default_factory=list)

    def operation(self, name: str, old: Document, new: Document | None) -> None:
        if new is None:
            sunset = old.get("x-sunset")
            if sunset is None or date.fromisoformat(sunset[:10]) > self.today:
                self._note(name, "was removed")
            return
        if old.get("operationId") != new.get("operationId"):
            self._note(name, f"is no longer called {old.get('operationId')}")
        self._security(name, old.get("security", []), new.get("security", []))
        self._parameters(name, old.get("parameters", ()), new.get("parameters", ()))
        self._body(name, old.get("requestBody"), new.get("requestBody"))
        self._answers(name, old["responses"], new["responses"])

    def _note(self, where: str, what: str) -> None:
        self.breaks.append(f"{where}: {what}")

    def _shapes(self, way: Way, where: str, pair: tuple[Any, Any]) -> None:
        self.breaks.extend(Shapes(self.old, self.new, way).breaks(where, *pair))

    def _security(self, name: str, old: list[Any], new: list[Any]) -> None:
        if not old and new:
            self._note(name, "needs a login, which it did not")
        for way in old:
            if new and way not in new:
                self._note(name, f"no longer takes {' and '.join(way)}")

    def _parameters(self, name: str, old: Iterable[Any], new: Iterable[Any]) -> None:
        before, after = dict(_named(old)), dict(_named(new))
        for key, parameter in before.items():
            where = f"{name} {key}"
            now = after.get(key)
            if now is None:
                self._note(where, "was removed")
                continue
            if now.get("required") and not parameter.get("required"):
                self._note(where, "is required, which it was not")
            self._shapes(Way.REQUEST, where, (parameter["schema"], now["schema"]))
        for key in after.keys() - before.keys():
            if after[key].get("required"):
                self._note(f"{name} {key}", "is new and required")

    def _body(self, name: str, old: Document | None, new: Document | None) -> None:
        where = f"{name} body"
        if old is None:
            if new is not None and new.get("required"):
                self._note(where, "is new and required")
            return
        if new is None:
            self._note(where, "was removed")
            return
        if new.get("required") and not old.get("required"):
            self._note(where, "is required, which it was not")
        self._contents(Way.REQUEST, where, old["content"], new["content"])

    def _answers(self, name: str, old: Document, new: Document) -> None:
        for status, answer in old.items():
            where = f"{name} answer {status}"
            now = new.get(status)
            if now is None:
                self._note(where, "was removed")
                continue
            self._contents(Way.ANSWER, where, answer.get("content", {}), now.get("content", {}))
            for header in answer.get("headers", {}):
                if header not in now.get("headers", {}):
                    self._note(f"{where} header {header}", "was removed")

    def _contents(self, way: Way, where: str, old: Document, new: Document) -> None:
        for kind, content in old.items():
            if kind not in new:
                self._note(f"{where} {kind}", "was removed")
            else:
                pair = (content.get("schema", {}), new[kind].get("schema", {}))
                self._shapes(way, f"{where} {kind}", pair)


def _named(parameters: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for each in parameters:
        # The names of headers have no case.
        name = each["name"].lower() if each["in"] == "header" else each["name"]
        yield f"{each['in']} {name}", each
