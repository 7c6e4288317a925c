"""Whether values of one JSON schema are still good where those of another were expected."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Schema = Mapping[str, Any]

_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT = ("pattern", "format", "contentMediaType", "uniqueItems", "multipleOf")


class Way(Enum):
    """Which way values go: what was sent has to be taken, what is told has to be understood."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Shapes:
    """Compares schemas of two documents, following references, each pair once."""

    old: Schema
    new: Schema
    way: Way
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def breaks(self, where: str, old: Any, new: Any) -> list[str]:
        """Name what is no longer taken (requests), or told and not known (answers)."""
        names = (_reference(old), _reference(new))
        if names[0] is not None and names[1] is not None:
            pair = (names[0], names[1])
            if pair in self._seen:
                return []
            self._seen.add(pair)
        found = self._defaults(where, old, new)
        before = self._alternatives(self.old, old)
        after = self._alternatives(self.new, new)
        given, known = (before, after) if self.way is Way.REQUEST else (after, before)
        for each in given:
            found += self._best(where, each, known)
        return found

    def _defaults(self, where: str, old: Any, new: Any) -> list[str]:
        if self.way is Way.ANSWER or old.get("default") == new.get("default"):
            return []
        return [f"{where}: without it {new.get('default')!r} is taken, not {old.get('default')!r}"]

    def _alternatives(self, document: Schema, schema: Any) -> list[Schema]:
        """Return what a value may be, one after the other, without references."""
        name = _reference(schema)
        if name is not None:
            schema = document["components"]["schemas"][name]
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return [
                    each for inner in schema[word] for each in self._alternatives(document, inner)
                ]
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return [{**schema, "type": kind} for kind in kinds]
        return [schema]

    def _best(self, where: str, given: Schema, known: list[Schema]) -> list[str]:
        """Return what is wrong with a value among alternatives: nothing, if it is one of them."""
        alike = [each for each in known if _is_of_kind(given, each)]
        if not alike:
            kind = given.get("type", "anything")
            said = "is no longer taken" if self.way is Way.REQUEST else "may be told now"
            return [f"{where}: {kind} {said}"]
        # What was seen while one is tried has not been seen for the next.
        apart = [Shapes(self.old, self.new, self.way, set(self._seen)) for _ in alike]
        tried = [
            one.differences(where, given, each) for one, each in zip(apart, alike, strict=True)
        ]
        return min(tried, key=len)

    def differences(self, where: str, given: Schema, known: Schema) -> list[str]:
        """Name what is wrong with a value of one schema as a value of another, of the same kind."""
        old, new = (given, known) if self.way is Way.REQUEST else (known, given)
        found = self._words(where, given, known) + self._bounds(where, given, known)
        match new.get("type"):
            case "object":
                found += self._properties(where, old, new)
                found += self._inner(where, old, new, "additionalProperties")
            case "array":
                found += self._inner(f"{where}[]", old, new, "items")
                for at, pair in enumerate(zip(*map(_places, (old, new)), strict=False)):
                    found += self.breaks(f"{where}[{at}]", *pair)
        return found

    def _words(self, where: str, given: Schema, known: Schema) -> list[str]:
        # An answer may have a new word of an enumeration: who reads it has to expect that.
        if self.way is Way.ANSWER and _words(given) is not None:
            return []
        words, taken = _words(given), _words(known)
        if taken is None:
            return []
        if words is None:
            return [f"{where}: is one of a few words now, which it was not"]
        return [f"{where}: {each!r} is no longer taken" for each in words if each not in taken]

    def _bounds(self, where: str, given: Schema, known: Schema) -> list[str]:
        tighter = [
            word
            for word in _AT_LEAST
            if word in known and not given.get(word, -math.inf) >= known[word]
        ]
        tighter += [
            word
            for word in _AT_MOST
            if word in known and not given.get(word, math.inf) <= known[word]
        ]
        tighter += [word for word in _EXACT if word in known and given.get(word) != known[word]]
        return [
            f"{where}: {word} {known[word]!r} does not hold of what was good before"
            for word in tighter
        ]

    def _properties(self, where: str, old: Schema, new: Schema) -> list[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        found = [f"{where}.{name}: was removed" for name in before if name not in after]
        must, had_to = set(new.get("required", ())), set(old.get("required", ()))
        if self.way is Way.REQUEST:
            found += [f"{where}.{name}: is required, which it was not" for name in must - had_to]
        else:
            kept = had_to & set(after)
            found += [f"{where}.{name}: may be lacking now" for name in kept - must]
        for name in before.keys() & after.keys():
            found += self.breaks(f"{where}.{name}", before[name], after[name])
        return sorted(found)

    def _inner(self, where: str, old: Schema, new: Schema, word: str) -> list[str]:
        before, after = old.get(word, True), new.get(word, True)
        given, known = (before, after) if self.way is Way.REQUEST else (after, before)
        if known is True or given is False:
            return []
        if known is False:
            # An answer may have more in it.
            taken = self.way is Way.ANSWER
            return [] if taken else [f"{where}: takes nothing besides now, which it did"]
        if given is True:
            return [f"{where}: has to be something now, which it had not"]
        return self.breaks(where if word == "items" else f"{where}.*", before, after)


def _reference(schema: Any) -> str | None:
    name = schema.get("$ref")
    return None if name is None else str(name).rpartition("/")[2]


def _places(schema: Schema) -> list[Any]:
    found: list[Any] = schema.get("prefixItems", [])
    return found


def _words(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _is_of_kind(given: Schema, known: Schema) -> bool:
    kinds = (given.get("type"), known.get("type"))
    return known.get("type") is None or kinds[0] == kinds[1] or kinds == ("integer", "number")
