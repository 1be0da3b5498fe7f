"""What the working copy's own configuration names inside the tree is obeyed by git, and nothing else of the tree is."""

import os
from pathlib import Path

import pytest

from ccterm.models import Allowances, Mode
from ccterm.policy.rules import PolicyFacts, PolicyLimits, judge
from ccterm.workspace.obeyed import obeyed_paths
from ccterm.workspace.repository import find_repository
from ccterm.workspace.work import PathChange
from tests.support.git import git, make_repository

FILES = {
    "a.txt": "a\n",
    "scripts/hooks/pre-push": "#!/bin/sh\n",
    "scripts/other.sh": "",
    "team.gitconfig": "# team\n",
    "tools/clean.py": "",
    "run": "",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("obeyed") / "copy", FILES)


def obeyed(copy: Path, *changed: str) -> list[str]:
    found = find_repository(str(copy), os.environ, copy)
    return [path.decode() for path in obeyed_paths(found, os.environ, [path.encode() for path in changed])]


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("core.hooksPath", "scripts/hooks", "scripts/hooks/post-index-change"),
        ("core.hooksPath", "./scripts/../scripts/hooks/", "scripts/HOOKS/pre-commit"),
        ("core.hooksPath", "{root}/scripts/hooks", "scripts/hooks/pre-push"),
        ("core.hooksPath", ".", "pre-commit"),
        ("core.hooksPath", "scripts/hooks", "scripts"),  # in place of the directory: a link
        ("core.hooksPath", ":(optional)scripts/hooks", "scripts/hooks/pre-push"),
        ("core.hooksPath", "not/there/yet", "not/there/yet/pre-commit"),
        ("include.path", "../team.gitconfig", "team.gitconfig"),
        ("include.path", "../new.gitconfig", "new.gitconfig"),
        ("includeIf.gitdir:/.path", "../team.gitconfig", "team.gitconfig"),
        ("core.fsmonitor", "run", "run"),
        ("core.sshCommand", "ssh -F scripts/other.sh", "scripts/other.sh"),
        ("core.attributesFile", "team.attributes", "team.attributes"),
        ("diff.x.command", "python3 tools/clean.py", "tools/clean.py"),
        ("diff.x.textconv", "./run", "run"),
        ("filter.x.clean", "python3 -u 'tools/clean.py' %f", "tools/clean.py"),
        ("filter.x.process", "sh -c 'exec tools/clean.py \"$@\"'", "tools/clean.py"),
        ("merge.x.driver", "env A=b --with=tools/clean.py %O %A", "tools/clean.py"),
        ("alias.go", "!./run now", "run"),
        ("gpg.program", "run", "run"),
        ("hook.lint.command", "sh tools/clean.py", "tools/clean.py"),
        ("credential.https://example.org.helper", "!tools/helper", "tools/helper"),
    ],
)
def test_what_the_configuration_names(made: Path, key: str, value: str, path: str) -> None:
    git(made, "config", key, value.format(root=made))
    try:
        assert obeyed(made, "a.txt", path, "scripts/unnamed.sh") == [path]
    finally:
        git(made, "config", "--unset-all", key)


def test_without_such_a_configuration_nothing_is_obeyed(made: Path) -> None:
    git(made, "config", "user.name", "run")
    assert obeyed(made, *FILES) == []


def test_an_included_file_names_more_and_links_are_followed(tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", FILES | {"team.gitconfig": "[core]\n\thooksPath = hooks\n"})
    git(copy, "config", "include.path", "../team.gitconfig")
    (copy / "hooks").symlink_to("scripts/hooks")
    (copy / ".git/hooks").mkdir(exist_ok=True)
    (copy / ".git/hooks/pre-commit").symlink_to("../../tools/clean.py")
    changed = ("a.txt", "hooks", "scripts/hooks/pre-push", "team.gitconfig", "tools/clean.py", "run")
    assert obeyed(copy, *changed) == ["hooks", "scripts/hooks/pre-push", "team.gitconfig", "tools/clean.py"]


def test_the_policy_refuses_them_as_other_protected_paths() -> None:
    facts = PolicyFacts([PathChange("scripts/hooks/x", None, "100755")], obeyed=("scripts/hooks/x",))
    assert [finding.rule for finding in judge(facts, Mode.TESTING, PolicyLimits()).findings] == ["protected"]
    assert judge(facts, Mode.TESTING, PolicyLimits(allow=Allowances(paths=("scripts",)))).ok
