"""Checks requests and responses against Discord's OpenAPI document.

The document is not part of this repository. Its path is WEEKBOT_TEST_OPENAPI; the default is beside the
repository. Without it, nothing is checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from jsonschema_rs import Draft202012, Draft202012Validator, Registry, ValidationError

from .payload import Payload

VARIABLE = "WEEKBOT_TEST_OPENAPI"
BESIDE = Path(__file__).parents[3] / "shared" / "discord-openapi.json"

URI = "urn:discord"
JSON = "application/json"
MAX_MESSAGE_LENGTH = 300
MAX_SHOWN = 20


Pointer: TypeAlias = tuple[str, ...]
"""The keys of a part of the document."""


def find() -> Path | None:
    """Return the document's path, if it exists."""
    path = Path(os.environ.get(VARIABLE, BESIDE))
    return path if path.is_file() else None


@cache
def read(path: Path) -> Document:
    """Read the document."""
    return Document(_amended(json.loads(path.read_bytes())))


def require_none(found: Sequence[str]) -> None:
    """Raise an AssertionError with the first violations, if there are any."""
    if found:
        shown = "\n".join(found[:MAX_SHOWN])
        raise AssertionError(f"{len(found)} violations of Discord's OpenAPI document, such as\n{shown}")


def _amended(content: Payload) -> Payload:
    """Add what only Discord's prose documents, and what Discord accepts from discord.py nevertheless."""
    schemas = content["components"]["schemas"]
    schemas["ChannelTypes"]["oneOf"].append({"const": 16, "title": "GUILD_MEDIA"})  # as the prose has it
    # The code of a form error is a string, as in the prose's examples.
    detail = {"code": {"type": "string"}, "message": {"type": "string"}}
    schemas["InnerErrors"]["properties"]["_errors"]["items"] = {"type": "object", "properties": detail}
    schemas["MessageAttachmentRequest"]["properties"]["id"] = {"type": ["integer", "string"]}
    for edit in ("MessageEditRequestPartial", "IncomingWebhookUpdateRequestPartial"):
        schemas[edit]["properties"]["tts"] = {"const": False}
    schemas["RichEmbed"]["properties"]["flags"] = {"const": 0}
    permissions = _request_schema(content, "/channels/{channel_id}/permissions/{overwrite_id}", "put")["properties"]
    permissions |= {"id": {}} | {key: {"type": ["integer", "string", "null"]} for key in ("allow", "deny")}
    nested = {"name": "use_nested_fields", "in": "query", "schema": {"type": "boolean"}}
    content["paths"]["/channels/{channel_id}/threads"]["post"].setdefault("parameters", []).append(nested)
    return content


def violations(method: str, path: str, query: Mapping[str, Any], body: Any) -> list[str]:
    """Return the violations of a request, given its path below the API's URL and its JSON body (None: no body)."""
    place = find()
    return read(place).of_request(method, path, query, body) if place else []


def violations_of_answer(method: str, path: str, status: int, body: Any) -> list[str]:
    """Return the violations of the response to a request."""
    place = find()
    return read(place).of_answer(method, path, status, body) if place else []


def _request_schema(content: Payload, path: str, method: str) -> Payload:
    schema: Payload = content["paths"][path][method]["requestBody"]["content"][JSON]["schema"]
    return schema


@dataclass(frozen=True)
class Operation:
    """A method, a path template, and the values in the path."""

    method: str
    template: str
    values: Mapping[str, str]

    @property
    def pointer(self) -> Pointer:
        """Return the operation's keys in the document."""
        return "paths", self.template, self.method.lower()


class Document:
    """The document, and validators of its parts, which are created when first needed."""

    def __init__(self, content: Payload) -> None:
        self._content = content
        self._registry = Registry([(URI, content)], draft=Draft202012)
        self._validators: dict[tuple[Pointer, bool], Draft202012Validator] = {}
        # Names take precedence over parameters: "pins" in ".../messages/pins" isn't a message ID.
        self._patterns = [(_pattern(path), path) for path in sorted(content["paths"], key=lambda each: each.count("{"))]

    def of_request(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> list[str]:
        """Return the violations of a request."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        found = chain(self._of_parameters(operation, query), self._of_body(operation, body))
        return [f"{method} {path}: {each}" for each in found]

    def of_answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """Return the violations of a response; an unknown operation is already a violation of the request."""
        operation = self._operation(method, path)
        if operation is None:
            return []
        return [f"{method} {path} → {status}: {each}" for each in self._of_answer(operation, status, body)]

    def _operation(self, method: str, path: str) -> Operation | None:
        for pattern, template in self._patterns:
            match = pattern.fullmatch(path)
            if match and method.lower() in self._content["paths"][template]:
                return Operation(method, template, match.groupdict())
        return None

    def _of_parameters(self, operation: Operation, query: Mapping[str, Any]) -> Iterator[str]:
        expected = dict(self._parameters(operation))
        given = {("path", name): value for name, value in operation.values.items()}
        given |= {("query", name): value for name, value in query.items()}
        for (place, name), value in given.items():
            if (place, name) in expected:
                yield from (f"{name}: {each}" for each in self._of_parameter(expected[place, name], value))
            else:
                yield f"{name}: no such {place} parameter"
        for place, name in expected.keys() - given.keys():
            if self._at(expected[place, name]).get("required"):
                yield f"{name}: this {place} parameter is required"

    def _parameters(self, operation: Operation) -> Iterator[tuple[tuple[str, str], Pointer]]:
        for pointer in (operation.pointer[:2], operation.pointer):
            for number, parameter in enumerate(self._at(pointer).get("parameters", ())):
                yield (parameter["in"], parameter["name"]), (*pointer, "parameters", str(number))

    def _of_parameter(self, pointer: Pointer, value: Any) -> list[str]:
        validator = self._validator((*pointer, "schema"))
        if any(validator.is_valid(parsed) for parsed in _interpretations(value)):
            return []
        return _messages(validator.iter_errors(value))

    def _of_body(self, operation: Operation, body: Any) -> list[str]:
        described = self._at(operation.pointer).get("requestBody")
        if body is None:
            return ["a body is required"] if described and described.get("required") else []
        if described is None:
            return [f"takes no body: {_short(repr(body))}"]
        kind = JSON if JSON in described["content"] else next(iter(described["content"]))
        pointer = (*operation.pointer, "requestBody", "content", kind, "schema")
        return _messages(self._validator(pointer, closed=True).iter_errors(body))

    def _of_answer(self, operation: Operation, status: int, body: Any) -> list[str]:
        responses = self._at(operation.pointer)["responses"]
        key = next((each for each in (str(status), f"{status // 100}XX") if each in responses), None)
        if key is None:
            return [f"this status is not documented, just {', '.join(responses)}"]
        pointer = self._followed((*operation.pointer, "responses", key))
        if "content" not in self._at(pointer):
            return [] if body is None else [f"has no body: {_short(repr(body))}"]
        return _messages(self._validator((*pointer, "content", JSON, "schema")).iter_errors(body))

    def _at(self, pointer: Pointer) -> Any:
        part: Any = self._content
        for key in pointer:
            part = part[int(key)] if isinstance(part, list) else part[key]
        return part

    def _followed(self, pointer: Pointer) -> Pointer:
        reference = self._at(pointer).get("$ref")
        return tuple(reference.split("/")[1:]) if reference else pointer

    def _validator(self, pointer: Pointer, *, closed: bool = False) -> Draft202012Validator:
        """Return the validator of a part; a closed one also rejects unknown keys."""
        if (pointer, closed) not in self._validators:
            fragment = "/".join(key.replace("~", "~0").replace("/", "~1") for key in ("", *pointer))
            schema = {"$ref": f"{URI}#{quote(fragment)}"} | ({"unevaluatedProperties": False} if closed else {})
            validator = Draft202012Validator(schema, registry=self._registry, validate_formats=True)
            self._validators[pointer, closed] = validator
        return self._validators[pointer, closed]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def _interpretations(value: Any) -> Iterator[Any]:
    # A query contains only strings: "1" can stand for a number or a boolean, and a number becomes a string.
    yield value
    yield str(value)
    text = str(value).lower()
    if re.fullmatch(r"-?\d+", text):
        yield int(text)
    if text in ("0", "1", "false", "true"):
        yield text in ("1", "true")


def _messages(errors: Iterable[ValidationError]) -> list[str]:
    return [f"{_place(error)}: {_short(error.message)}" for error in map(_innermost, errors)]


def _place(error: ValidationError) -> str:
    return "/".join(map(str, error.instance_path)) or "as a whole"


def _innermost(error: ValidationError) -> ValidationError:
    # If all alternatives fail, the intended one has the right type and fails deepest.
    alternatives = getattr(error.kind, "context", [])
    intended = [each for each in alternatives if not any(_is_about_type(every) for every in each)] or alternatives
    inner = map(_innermost, chain.from_iterable(intended))
    return max(inner, key=lambda each: len(each.instance_path), default=error)


def _is_about_type(error: ValidationError) -> bool:
    return error.instance_path[-1:] == ["type"]


def _short(text: str) -> str:
    return (
        text
        if len(text) <= MAX_MESSAGE_LENGTH
        else f"{text[: MAX_MESSAGE_LENGTH // 2]} … {text[-MAX_MESSAGE_LENGTH // 2 :]}"
    )
