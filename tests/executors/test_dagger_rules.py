"""What no code of ours may ask of an engine, read from the code itself: privileges, and what is of the host but where it must be."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import ccterm

PACKAGE = Path(ccterm.__file__).parent
NEVER = {
    "experimental_privileged_nesting": "it lets a box command the engine",
    "insecure_root_capabilities": "it makes root in a box root of the host",
    "plaintext": "a secret's value would go through the engine's log",
    "as_git": "git in the engine freezes references for a session",
    "log_output": "its text is for people",
    "dagger_connection": "one for the process",
}
HOST = {
    "unix_socket": {"boxes.py"},
    "directory": {"boxes.py", "images.py", "making.py"},
    "file": {"boxes.py", "images.py", "making.py", "reach.py"},
    "service": {"reach.py"},
    "tunnel": set[str](),
    "container_image": set[str](),
}
"""What may be taken from the host, and by which modules."""


@cache
def modules() -> Sequence[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))]


def words(tree: ast.Module) -> Iterator[str]:
    """Yield every name that code uses: of attributes, of arguments, of imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.ImportFrom) and node.module == "dagger":
            yield from (f"dagger_{alias.name}" for alias in node.names)


def taken_from_host(tree: ast.Module) -> Iterator[str]:
    """Yield x of every `….host().x(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            made = node.value.func
            if isinstance(made, ast.Attribute) and made.attr == "host":
                yield node.attr


def test_no_privilege_is_asked_for() -> None:
    assert [(path.name, word) for path, tree in modules() for word in words(tree) if word in NEVER] == []


def test_what_is_of_the_host_is_taken_where_it_must_be_and_nowhere_else() -> None:
    found = {(word, path.name) for path, tree in modules() for word in taken_from_host(tree)}
    assert {(word, name) for word, name in found if name not in HOST.get(word, set())} == set()
    assert {("unix_socket", "boxes.py"), ("directory", "boxes.py"), ("service", "reach.py")} <= found


def test_no_process_wide_session_of_the_sdk_is_used() -> None:
    names = {word for path, tree in modules() for word in words(tree) if word.startswith("dagger_")}
    assert names & {"dagger_dag", "dagger_connection", "dagger_Connection"} == set()
    assert "dagger_ReturnType" in names
