"""GraphQL as the engine answers it: validated against the published schema, then resolved field by field over lazy objects."""

import hashlib
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import graphql
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.language import ast

T = TypeVar("T", bound="Thing")
_RULES = [rule for rule in graphql.specified_rules if rule is not graphql.ValuesOfCorrectTypeRule]
"""All validation rules but one: the engine finds wrong values later, with another error."""


@cache
def schema() -> graphql.GraphQLSchema:
    """Return the published schema."""
    return graphql.build_schema((Path(__file__).parent / "schema.graphqls").read_text(), assume_valid=True)


def introspects(query: str) -> bool:
    """Return whether a query asks for the schema."""
    return "__schema" in query or "__type(" in query


@cache
def introspected(query: str) -> bytes:
    """Return the answer to an introspection query, in JSON. Raises Refused."""
    return json.dumps({"data": graphql.execute_sync(schema(), _valid(query)).data}).encode()


class Refused(Exception):
    """The query is invalid: status 400 or 422."""

    def __init__(self, status: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"errors": [{"message": message, **more}], "data": None}


class Fault(Exception):
    """A call failed: status 200, and an error with its path and its extensions."""

    def __init__(self, message: str, path: Sequence[str] = (), **extensions: object) -> None:
        super().__init__(message)
        self.message, self.path, self.extensions = message, tuple(path), extensions

    @property
    def document(self) -> Mapping[str, object]:
        """Return it in wire form."""
        return {"errors": [{"message": self.message, "path": self.path, "extensions": self.extensions}], "data": None}


@dataclass(frozen=True)
class Chain:
    """The calls that made an object: their names, and a digest of their arguments. Objects with the same digest are the same."""

    names: tuple[str, ...] = ()
    digest: str = ""

    def then(self, name: str, said: object) -> "Chain":
        """Return the chain with one more call."""
        text = json.dumps([self.digest, name, said], sort_keys=True, default=str)
        return Chain((*self.names, name), hashlib.sha256(text.encode()).hexdigest())


class Asker(Protocol):
    """What objects need of a query: it resolves ids."""

    def thing(self, identity: str) -> "Thing":
        """Return the object with an id. Raises Fault."""
        ...


class Args:
    """The arguments of one call, and the chain of its result."""

    def __init__(self, values: Mapping[str, object], chain: Chain) -> None:
        self._values, self.chain = values, chain

    def text(self, name: str) -> str:
        """Return a string, "" by default."""
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        """Return a boolean, False by default."""
        return self._values.get(name) is True

    def number(self, name: str) -> int | None:
        """Return a number, or None."""
        value = self._values.get(name)
        return value if isinstance(value, int) else None

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        value = self._values.get(name)
        return [str(each) for each in value] if isinstance(value, list) else []

    def records(self, name: str) -> list[Mapping[str, object]]:
        """Return a list of input objects."""
        value = self._values.get(name)
        return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

    def thing(self, name: str, kind: type[T]) -> T:
        """Return an object given by its id. Raises Fault."""
        value = self._values.get(name)
        if not isinstance(value, kind):
            raise Fault(f"{name} is no {kind.kind}", self.chain.names)
        return value


@dataclass(frozen=True)
class Thing:
    """An object with fields. Its method `call_with_exec` resolves the field withExec to another object, a value, or an awaitable of one."""

    kind: ClassVar[str] = ""
    chain: Chain = field(default=Chain(), kw_only=True)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


class Walk:
    """Resolves one query."""

    def __init__(self, asker: Asker, query: str, variables: Mapping[str, object]) -> None:
        self._asker, self._query, self._given = asker, query, dict(variables)
        self._variables: VariableValues | None = None

    async def answer(self, root: Thing) -> Mapping[str, object]:
        """Return the data. Raises Refused and Fault."""
        document = _valid(self._query)
        [operation] = [each for each in document.definitions if isinstance(each, ast.OperationDefinitionNode)]
        found = get_variable_values(schema(), operation.variable_definitions or (), self._given)
        self._variables = found if isinstance(found, VariableValues) else None
        return await self._selected(root, operation.selection_set.selections)

    async def _selected(self, thing: Thing, selections: Sequence[ast.SelectionNode]) -> dict[str, object]:
        found: dict[str, object] = {}
        for each in selections:
            if isinstance(each, ast.InlineFragmentNode):
                if each.type_condition is None or each.type_condition.name.value == thing.kind:
                    found |= await self._selected(thing, each.selection_set.selections)
            elif isinstance(each, ast.FieldNode):
                found[(each.alias or each.name).value] = await self._field(thing, each)
            else:
                raise Fault("the fake engine does not have fragments with names")
        return found

    async def _field(self, thing: Thing, node: ast.FieldNode) -> object:
        name = node.name.value
        if name == "__typename":
            return thing.kind
        call: Callable[[Asker, Args], object] | None = getattr(thing, f"call_{_snake(name)}", None)
        if call is None:
            raise Fault(f"the fake engine does not have {thing.kind}.{name}", (*thing.chain.names, name))
        args = self._args(thing, node)
        try:
            result = call(self._asker, args)
            if inspect.isawaitable(result):
                result = await _awaited(result)
        except Fault as fault:
            raise fault if fault.path else Fault(fault.message, args.chain.names, **fault.extensions) from fault
        if isinstance(result, Thing):
            return await self._selected(result, node.selection_set.selections if node.selection_set else ())
        return result

    def _args(self, thing: Thing, node: ast.FieldNode) -> Args:
        name = node.name.value
        kind = schema().get_type(thing.kind)
        assert isinstance(kind, graphql.GraphQLObjectType)
        definition = kind.fields[name]
        try:
            values = get_argument_values(definition, node, self._variables)
        except graphql.GraphQLError as error:
            raise Fault(f'query:\n{self._query}\n\nerror: parse selections: parse field "{name}": {error.message}') from error
        said = dict(values)
        for key, value in values.items():
            if _is_id(definition.args[key]) and isinstance(value, str) and name != "node":
                values[key] = other = self._asker.thing(value)
                said[key] = other.chain.digest
        return Args(values, thing.chain.then(name, said))


def _is_id(argument: graphql.GraphQLArgument) -> bool:
    return graphql.get_named_type(argument.type).name == "ID"


async def _awaited(result: Awaitable[object]) -> object:
    return await result


@lru_cache(512)
def _valid(query: str) -> graphql.DocumentNode:
    try:
        document = graphql.parse(query)
    except graphql.GraphQLError as error:
        raise _refused(error, "GRAPHQL_PARSE_FAILED") from error
    if errors := graphql.validate(schema(), document, _RULES):
        raise _refused(errors[0], "GRAPHQL_VALIDATION_FAILED")
    return document


def _refused(error: graphql.GraphQLError, code: str) -> Refused:
    """Return a validation error in the engine's own form."""
    message = re.sub(r"'([^']*)'", r'"\1"', error.message.removeprefix("Syntax Error: "))
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    return Refused(
        422, message.removesuffix(".") if code.startswith("GRAPHQL_PARSE") else message, locations=places, extensions={"code": code}
    )
