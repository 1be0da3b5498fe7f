"""What ccterm may never ask of an engine, checked in its source: privileges, and access to the host except where it is needed."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import ccterm

PACKAGE = Path(ccterm.__file__).parent
NEVER = {
    "experimental_privileged_nesting": "it lets a box command the engine",
    "plaintext": "a secret's value would appear in the engine's log",
    "as_git": "git in the engine freezes references for a session",
    "log_output": "its text is not an interface",
    "dagger_connection": "its session is the process's own",
    "dagger_dag": "its session is the process's own",
}
HOST = {
    "unix_socket": {"boxes.py"},
    "directory": {"boxes.py", "images.py", "image_build.py"},
    "file": {"boxes.py", "images.py", "image_build.py", "network.py"},
    "service": {"network.py"},
    "tunnel": set[str](),
    "container_image": set[str](),
}
"""What may be used of the host, and by which modules."""


@cache
def modules() -> Sequence[tuple[Path, ast.Module]]:
    """Return the modules that may use the SDK; to parse the others takes seconds."""
    texts = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    return [(path, ast.parse(text)) for path, text in texts.items() if "import dagger" in text or "from dagger" in text]


def words(tree: ast.Module) -> Iterator[str]:
    """Yield every name in the code: attributes, arguments, and what is imported from `dagger`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield f"dagger_{node.attr}" if isinstance(node.value, ast.Name) and node.value.id == "dagger" else node.attr
        elif isinstance(node, ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.ImportFrom) and node.module == "dagger":
            yield from (f"dagger_{alias.name}" for alias in node.names)


def private_parts(tree: ast.Module) -> Iterator[str]:
    """Yield uses of the SDK's private parts: its modules, and attributes whose names begin with `_`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagger."):
            yield node.module or ""
        elif isinstance(node, ast.Attribute) and node.attr[0] == "_" != node.attr[1] and not _is_own(node.value):
            yield node.attr


def _is_own(holder: ast.expr) -> bool:
    return isinstance(holder, ast.Name) and holder.id in ("self", "cls", "child")


def taken_from_host(tree: ast.Module) -> Iterator[str]:
    """Yield x of every `….host().x(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            made = node.value.func
            if isinstance(made, ast.Attribute) and made.attr == "host":
                yield node.attr


def test_no_privileges_are_requested() -> None:
    assert [(path.name, word) for path, tree in modules() for word in words(tree) if word in NEVER] == []


def test_root_capabilities_are_requested_only_to_close_a_network() -> None:
    """What is left of them then: `tests/executors/test_dagger_network.py`."""
    asked = [
        (path.name, ast.unparse(node.value))
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "insecure_root_capabilities"
    ]
    named = [path.name for path, tree in modules() for word in words(tree) if word == "insecure_root_capabilities"]
    assert asked == [("boxes.py", "step.closed_network")]
    assert named == ["boxes.py"]


def test_the_host_is_only_used_where_allowed() -> None:
    found = {(word, path.name) for path, tree in modules() for word in taken_from_host(tree)}
    assert {(word, name) for word, name in found if name not in HOST.get(word, set())} == set()
    assert {("unix_socket", "boxes.py"), ("directory", "boxes.py"), ("service", "network.py")} <= found


def test_no_process_wide_session_of_the_sdk_is_used() -> None:
    users = {path.name for path, tree in modules() if "dagger_Connection" in words(tree)}
    assert users == {"dagger_private.py"}  # a client of its own, where the SDK offers no other way
    assert "dagger_ReturnType" in {word for _, tree in modules() for word in words(tree)}


def test_private_parts_of_the_sdk_are_used_in_one_module() -> None:
    room = [(path, tree) for path, tree in modules() if path.parent.name == "dagger"]
    assert {path.name for path, tree in room if list(private_parts(tree))} == {"dagger_private.py"}
    assert {path.name for path, tree in modules() if "dagger." in " ".join(private_parts(tree))} == {"dagger_private.py"}
