"""There is one definition of each kind of work that used to have several. These tests read the source and name the module."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import ccterm

PACKAGE = Path(ccterm.__file__).parent

STARTS_GIT = {
    "git.git": "all git that ccterm runs",
    "box.scripted.actions": "an agent's own commands",
}
STARTS_PROGRAMS = {
    "git.child": "git",
    "processes": "small programs, with bounds on time and output",
    "box.agent.final_commit": "a copy of the supervisor, with the agent's rights",
    "box.process.child": "the child of a step",
    "box.process.tree": "ps, where there is no /proc",
    "box.network.box_network": "the box proxy",
    "box.terminal": "a person's shell, on a terminal of its own",
    "box.scripted.actions": "an agent's own commands",
    "box.scripted.misbehaviour": "an agent's own processes",
    "cli.auth_setup": "claude setup-token, on the user's terminal",
    "cli.tty_guard": "the terminal",
    "daemon.spawn": "the daemon",
    "executors.dagger.cli_session": "a Dagger session",
    "gateway.launcher": "the gateway",
    "executors.local.program": "a step program",
}
STARTERS = {
    *(f"subprocess.{name}" for name in ("Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")),
    *(f"asyncio.create_subprocess_{name}" for name in ("exec", "shell")),
    *(f"os.{name}" for name in ("system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp")),
    *(f"os.exec{name}" for name in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
}
DESCENDS = {
    "git.rooted": "directories that are not ours",
    "credentials.secret_file": "the one directory of stored and exported logins",
}
READERS = {
    "the paths of a tree": ("ls-tree", "git.tree"),
    "the contents of objects": ("--batch", "git.objects"),
    "the sizes of objects": ("--batch-check", "git.objects"),
    "the name of a blob": ("blob %d", "git.objects"),
    "the refs of a repository": ("show-ref", "git.refs"),
    "the refs of a remote": ("ls-remote", "git.remote"),
    "HEAD of a git directory": ("/HEAD", "git.refs"),
    "the header of packed-refs": ("# pack-refs", "git.refs"),
    "what patterns ignore": ("check-ignore", "git.patterns"),
    "what patterns assign": ("check-attr", "git.patterns"),
    "a .git file": ("gitdir:", "git.refs"),
    "a raw diff": ("--raw", "git.diff"),
    "the numbers of a diff": ("--numstat", "git.diff"),
    "the parts of a URL": ("://([^", "git.address"),
}
"""A text that only a module holds which reads or asks for a thing, and the module."""
PARSES_JSON = {
    "git.bounded_json": "what others wrote, counted first",
    **dict.fromkeys(("service.commands", "service.connection", "service.remote"), "the socket's lines, counted first"),
    **dict.fromkeys(("box.frames", "box.checkpoint.changed", "box.checkpoint.checkpoint", "box.checkpoint.staging"), "what ccterm gives its programs"),
    **dict.fromkeys(("credentials.keyring_child", "credentials.keyring_client"), "what ccterm tells its child, and the answer of at most 64 KiB"),
    **dict.fromkeys(("credentials.login", "credentials.setup_token"), "the user's login, of at most 64 KiB"),
    **dict.fromkeys(
        (
            "cli.auth", "event_lines", "events", "executors.dagger.image_store", "executors.local.records", "pipeline.checkpoints", "policy.facts", "schema",
            "service.environments", "service.lock", "settings.trust", "store", "tui.memory", "workspace.apply.changeset", "workspace.apply.journal", "workspace.masks",
            "workspace.snapshot.history", "workspace.snapshot.manifest",
        ),
        "what ccterm wrote into its own state directory, from what was parsed before",
    ),
}  # fmt: skip
"""Modules that parse JSON, and whose. Only the first takes that of agents, repositories and other processes."""
JSON_PARSERS, JSON_VALIDATORS = ("json.loads", "json.load"), ("model_validate_json", "validate_json")
ROOMS = ("git", "box", "workspace", "remotes")
"""Where output of git is read."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module by its name below ccterm."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return all nodes of a module."""
    return tuple(ast.walk(tree))


def where(holds: Callable[[ast.Module], bool]) -> set[str]:
    return {name for name, tree in modules().items() if holds(tree)}


def dotted(node: ast.expr) -> str:
    """Return `a.b` for such an expression, else ""."""
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return f"{above}.{node.attr}" if above else ""
    return node.id if isinstance(node, ast.Name) else ""


def imported(tree: ast.Module) -> dict[str, str]:
    """Return the full names of what a module imports under another name."""
    found: dict[str, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
    return found


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call with the full name of what is called."""
    full = imported(tree)
    for node in nodes(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            first, dot, rest = name.partition(".")
            yield f"{full.get(first, first)}{dot}{rest}", node


@cache
def texts(tree: ast.Module) -> Sequence[str]:
    """Return the strings of a module, except its documentation."""
    documentation = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
    values = [node.value for node in nodes(tree) if isinstance(node, ast.Constant) and id(node) not in documentation]
    return [value if isinstance(value, str) else value.decode("latin-1") for value in values if isinstance(value, str | bytes)]


def commands(tree: ast.Module) -> Iterator[object]:
    """Yield the first word of everything that may be a command line: lists, and arguments of calls that start a program."""
    lists = [node.elts for node in nodes(tree) if isinstance(node, ast.List)]
    arguments = [
        word.elts if isinstance(word, ast.Tuple) else [word] for name, node in calls(tree) if name in STARTERS for word in node.args
    ]
    for words in [*lists, *arguments]:
        if words and isinstance(words[0], ast.Constant):
            yield words[0].value


def starts_a_program(tree: ast.Module) -> bool:
    return not STARTERS.isdisjoint(name for name, _ in calls(tree))


def parses_json(tree: ast.Module) -> bool:
    called = (node.func for node in nodes(tree) if isinstance(node, ast.Call))
    return any(dotted(each) in JSON_PARSERS or (isinstance(each, ast.Attribute) and each.attr in JSON_VALIDATORS) for each in called)


def test_json_of_others_is_parsed_in_one_module() -> None:
    assert where(parses_json) == PARSES_JSON.keys()


def test_git_is_run_in_one_module() -> None:
    assert where(lambda tree: "git" in commands(tree)) == STARTS_GIT.keys()


def test_programs_are_started_in_few_modules() -> None:
    assert where(starts_a_program) == STARTS_PROGRAMS.keys()


@pytest.mark.parametrize(("text", "module"), READERS.values(), ids=READERS)
def test_each_output_of_git_is_read_in_one_module(text: str, module: str) -> None:
    assert where(lambda tree: any(text in found for found in texts(tree))) == {module}


def test_no_output_of_git_is_split_at_what_unicode_calls_a_line_break() -> None:
    splits = where(lambda tree: any(isinstance(node, ast.Attribute) and node.attr == "splitlines" for node in nodes(tree)))
    assert {name for name in splits if name.split(".")[0] in ROOMS} == set()


def test_directories_are_descended_in_one_module() -> None:
    assert (
        where(lambda tree: any(dotted(node) == "os.O_DIRECTORY" for node in nodes(tree) if isinstance(node, ast.expr))) == DESCENDS.keys()
    )


def test_no_class_has_a_namesake() -> None:
    classes = Counter(node.name for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef))
    assert {name for name, count in classes.items() if count > 1} == set()


def test_no_file_name_is_used_more_than_twice() -> None:
    names = Counter(path.name for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in names.items() if count > 2} <= {"__init__.py", "__main__.py", "checks.py", "errors.py"}


def test_modules_are_neither_tiny_nor_huge() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")}
    assert {str(path) for path, count in lines.items() if count > 350} == set()
    assert len([path for path, count in lines.items() if count < 40]) < 12
