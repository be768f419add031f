"""The JSON Schema of a report, made from the record dataclasses, so that it cannot say anything else than they do.

``schema-v1.json`` is its committed text. May rely on the records, their annotations and their field docstrings; must
not know what a number means.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
import typing
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from steadygrad.record import SCHEMA_VERSION, CheckRecord, Trunk
from steadygrad.record.check import TRUNK_SUMMARY
from steadygrad.record.codec import older_form

SCHEMA_FILE = Path(__file__).with_name(f"schema-v{SCHEMA_VERSION}.json")

_FLOAT: dict[str, Any] = {
    "description": "A number; JSON has no infinity or NaN, so these are strings.",
    "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
}

# What to_json writes beside the fields, for readers without these classes; from_json computes it again.
_DERIVED: dict[type, dict[str, Any]] = {Trunk: {"decades": float, "blame": dict[str, float]}}


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12). Fields with a default are optional; unknown ones are allowed, as in the reader."""
    definitions: dict[str, Any] = {"Float": _FLOAT}
    root = _record(CheckRecord, definitions)
    definitions.pop("CheckRecord", None)
    root["properties"] = {"version": {"const": SCHEMA_VERSION}, **root["properties"]}
    root["required"] = ["version", *root["required"]]
    whole = definitions["Trunk"]["properties"]
    summary = {"type": "object", "properties": {name: whole[name] for name in TRUNK_SUMMARY}}
    told = "What the trace's trunk comes to, or null."
    root["properties"]["trunk"] = {"description": told, "readOnly": True, "anyOf": [summary, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:steadygrad:report:v{SCHEMA_VERSION}",
        "title": "steadygrad report",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The text of ``SCHEMA_FILE`` as it should be."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _record(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints, told = typing.get_type_hints(kind), field_docstrings(kind)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        shape = _shape(hints[field.name], definitions)
        properties[field.name] = {"description": told[field.name], **shape} if field.name in told else shape
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    for name, hint in _DERIVED.get(kind, {}).items():
        told_by = inspect.getdoc(getattr(kind, name)) or ""
        properties[name] = {"description": told_by, "readOnly": True, **_shape(hint, definitions)}
    about = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    return {"description": about, "type": "object", "properties": properties, "required": required}


def _shape(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if older_form(hint) is not None:
        return {"anyOf": [_own_shape(hint, definitions), {"type": "string", "description": "in older reports"}]}
    return _own_shape(hint, definitions)


def _own_shape(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [{"type": "null"} if option is type(None) else _shape(option, definitions) for option in inside]
        return {"anyOf": options}
    if origin is tuple and inside[1:] == (...,):
        return {"type": "array", "items": _shape(inside[0], definitions)}
    if origin is tuple:
        items = [_shape(item, definitions) for item in inside]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _shape(inside[1], definitions)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        definitions[hint.__name__] = {
            "description": inspect.getdoc(hint) or "",
            "enum": [member.value for member in hint],
        }
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _record(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint is float:
        return {"$ref": "#/$defs/Float"}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[hint]}


def field_docstrings(kind: type) -> dict[str, str]:
    """The string under each annotated field of a class, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    told = {}
    for field, below in pairwise(body.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                told[name] = " ".join(text.split())
    return told
