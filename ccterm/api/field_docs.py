"""What the docstrings below the fields of values say, for the documents that are made of the values."""

import ast
import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a class, its base classes first."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.startswith("ccterm"):
            [definition] = ast.parse(inspect.getsource(each)).body
            assert isinstance(definition, ast.ClassDef)
            for field, text in itertools.pairwise(definition.body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(told))):
                        found[name] = told
    return found


def explain(schemas: Mapping[str, dict[str, Any]], kind: type[BaseModel]) -> None:
    """Write what the fields of a class and of its parts mean into their schemas, which are named as the classes."""
    for each in set(_with_parts([kind])):
        properties = schemas.get(each.__name__, {}).get("properties", {})
        for name, told in meanings(each).items():
            if name in properties:
                properties[name]["description"] = " ".join(told.split())


def _with_parts(annotations: Iterable[object]) -> Iterator[type[BaseModel]]:
    """Yield the values among types, and what these may hold. None holds one of its own kind."""
    for each in annotations:
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
            yield from _with_parts(field.annotation for field in each.model_fields.values())
        else:
            yield from _with_parts(get_args(each))
