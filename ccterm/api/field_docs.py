"""Schemas of values with what the docstrings below their fields say."""

import ast
import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import DEFAULT_REF_TEMPLATE


def described_schema(kind: type[BaseModel], ref_template: str = DEFAULT_REF_TEMPLATE) -> dict[str, Any]:
    """Return the schema of a value as it is sent, in which each field that has a docstring is described, those of its parts, too."""
    schema = kind.model_json_schema(mode="serialization", ref_template=ref_template)
    schemas = {**schema.get("$defs", {}), kind.__name__: schema}
    for each in set(_with_parts([kind])):
        properties = schemas.get(each.__name__, {}).get("properties", {})
        for name, told in meanings(each).items():
            if name in properties:
                properties[name]["description"] = " ".join(told.split())
    return schema


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a class, its base classes first."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        definition = _classes(each.__module__).get(each.__name__) if each.__module__.startswith("ccterm") else None
        for field, text in itertools.pairwise(definition.body) if definition else ():
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(told))):
                    found[name] = told
    return found


@cache
def _classes(module: str) -> Mapping[str, ast.ClassDef]:
    try:
        body = ast.parse(inspect.getsource(sys.modules[module])).body
    except OSError:  # installed without sources: then there are no descriptions
        return {}
    return {each.name: each for each in body if isinstance(each, ast.ClassDef)}


def _with_parts(annotations: Iterable[object]) -> Iterator[type[BaseModel]]:
    """Yield the values among types, and what these may hold. None holds one of its own kind."""
    for each in annotations:
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
            yield from _with_parts(field.annotation for field in each.model_fields.values())
        else:
            yield from _with_parts(get_args(each))
