"""The part of the engine's schema that ccterm brings along is as the engine publishes it."""

import graphql

from ccterm.executors.dagger.dagger_private import own_schema
from tests.dagger_engine.graph import schema as published


def test_what_ccterm_calls_is_as_published() -> None:
    ours, whole = own_schema(), published()
    assert graphql.validate_schema(ours) == []
    for name, kind in ours.type_map.items():
        if not name.startswith("__"):
            assert described(kind) <= described(whole.type_map[name]), name


def described(kind: graphql.GraphQLNamedType) -> set[str]:
    """Return what a query can get wrong about a type: its kind, fields, arguments and values."""
    found = {type(kind).__name__}
    if isinstance(kind, graphql.GraphQLEnumType):
        found |= set(kind.values)
    if isinstance(kind, graphql.GraphQLInputObjectType):
        found |= {f"{name}: {field.type}" for name, field in kind.fields.items()}
        found |= {f"{name} must be given" for name, field in kind.fields.items() if graphql.is_required_input_field(field)}
    if isinstance(kind, graphql.GraphQLObjectType | graphql.GraphQLInterfaceType):
        found |= {f"implements {each.name}" for each in kind.interfaces}
        found |= {f"{name}({arguments(field)}): {field.type}" for name, field in kind.fields.items()}
    return found


def arguments(field: graphql.GraphQLField) -> str:
    """Return all arguments of a field with their types."""
    return ", ".join(f"{name}: {each.type}" for name, each in sorted(field.args.items()))
