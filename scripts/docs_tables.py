"""What the parts of docs/ that come from the code are made with: tables, and the docstrings of fields."""

import ast
import inspect
import itertools
from collections.abc import Iterator

from pydantic import BaseModel


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return (
        "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def meanings(settings: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a class, its base classes first."""
    found: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        if each.__module__.startswith("ccterm"):
            [definition] = ast.parse(inspect.getsource(each)).body
            assert isinstance(definition, ast.ClassDef)
            for field, text in itertools.pairwise(definition.body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(told))):
                        found[name] = told
    return found
