"""Trees that an agent may leave, ordinary and hostile ones, each with the expected outcome: applied to the byte, or refused by a rule."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from tests.support.git import git, write_files

FILES = {
    "README.md": "# Example\n",
    "src/main.py": "print(1)\n",
    "src/deep/er/x.txt": "x\n",
    "docs/guide.md": "guide\n" * 30,
    "café.txt": "nfc\n",
    **{f"many/{n}.txt": f"{n}\n" * 20 for n in range(60)},
}


@dataclass(frozen=True)
class Tree:
    """One tree of the corpus. rule: what refuses it; "" = it is applied exactly."""

    name: str
    make: Callable[[Path], object]
    rule: str = ""


def _write(name: str | bytes, content: bytes = b"x\n", mode: int | None = None) -> Callable[[Path], object]:
    def make(tree: Path) -> None:
        path = tree / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if mode is not None:
            path.chmod(mode)

    return make


def _link(name: str, target: str) -> Callable[[Path], object]:
    def make(tree: Path) -> None:
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(target)

    return make


def _shell(command: str) -> Callable[[Path], object]:
    return lambda tree: subprocess.run(["bash", "-c", command], cwd=tree, check=True, capture_output=True)


def _commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "-m", "mine")


def _socket(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, chdir(tree):
        server.bind("sock")


def _nested(tree: Path) -> None:
    write_files(tree / "inner", {"x": "x\n"})
    git(tree / "inner", "init", "--quiet", ".")


def _bare(tree: Path) -> None:
    (tree / "bare").mkdir()
    git(tree / "bare", "init", "--quiet", "--bare", ".")


def _delete_and_commit(tree: Path) -> None:
    _shell("rm -r many")(tree)
    _commit(tree)


def _committed(tree: Path) -> None:
    _write("README.md", b"# C\n")(tree)
    _commit(tree)


def _payloads(tree: Path) -> None:
    """Let the agent's git start a program in every possible way, each writing into the home directory."""
    evil = "touch $HOME/pwned"
    for name, value in {
        "core.fsmonitor": evil,
        "core.hooksPath": ".evil",
        "filter.x.clean": evil,
        "filter.x.smudge": evil,
        "diff.external": evil,
        "core.sshCommand": evil,
        "core.pager": evil,
        "gpg.program": evil,
        "core.editor": evil,
    }.items():
        git(tree, "config", name, value)
    _write(".git/hooks/pre-commit", f"#!/bin/sh\n{evil}\n".encode(), 0o755)(tree)
    _write(".git/info/attributes", b"* filter=x diff=x\n")(tree)
    _write("new.txt")(tree)


def _protected() -> Iterator[Tree]:
    for name in (
        ".github/workflows/ci.yml", ".husky/pre-commit", ".vscode/tasks.json", ".envrc", ".claude/settings.json", ".mcp.json", "CLAUDE.md",
        "sub/CLAUDE.md", ".npmrc", ".bashrc", ".gitmodules", ".ccterm.toml", ".Claude/x", ".idea/workspace.xml", "Jenkinsfile",
    ):  # fmt: skip
        yield Tree(f"protected {name}", _write(name), "protected")


def _dotgits() -> Iterator[Tree]:
    for name in (
        ".GIT/config",
        "git~1/config",
        ".git./x",
        ".git /x",
        ".gi\u200ct/config",
        ".git::$INDEX_ALLOCATION/config",
        "sub/.Git/hooks/x",
    ):
        yield Tree(f"dotgit {name!r}", _write(name), "dotgit")


CORPUS = (
    Tree("edit", _write("README.md", b"# Other\n")),
    Tree("add", _write("new/deep/file.txt")),
    Tree("delete", _shell("rm src/main.py")),
    Tree("rename", _shell("git mv src/main.py src/other.py")),
    Tree("rename in case only", _shell("mv README.md readme.md")),
    Tree("rename a directory of many", _shell("mv many lots")),
    Tree("executable", _shell("chmod +x src/main.py")),
    Tree("setuid", _write("tool", b"#!/bin/sh\n", 0o6755)),
    Tree("world-writable", _write("open", b"x\n", 0o666)),
    Tree("closed to its owner", _write("closed", b"x\n", 0o000)),
    Tree("file to directory", _shell("rm README.md; mkdir README.md; echo x > README.md/x")),
    Tree("directory to file", _shell("rm -r src; echo x > src")),
    Tree("directory to link", _shell("rm -r src; ln -s docs src")),
    Tree("file to link and back", _shell("rm README.md; ln -s docs/guide.md README.md; rm README.md; echo y > README.md")),
    Tree("empty file", _write("empty", b"")),
    Tree("no newline", _write("README.md", b"# Example")),
    Tree("binary", _write("bin", bytes(range(256)) * 40)),
    Tree("carriage returns", _write("README.md", b"# Example\r\n")),
    Tree("byte order mark", _write("bom.txt", "\ufeffx\n".encode())),
    Tree("utf-16", _write("wide.txt", "x\n".encode("utf-16"))),
    Tree("longest name", _write("a" * 255)),
    Tree("leading dash", _write("-rf")),
    Tree("shell characters", _write("$(touch x);'\"`&|<>*?.txt")),
    Tree("spaces", _write(" a b ")),
    Tree("other scripts", _write("日本語/данные/עברית.txt")),
    Tree("deep but not too deep", _write("d/" * 60 + "x")),
    Tree("hard links", _shell("echo x > one; ln one two")),
    Tree("sparse file", _shell("truncate -s 10M sparse")),
    Tree("almost dotgit", _write(".gitx/config")),
    Tree("gitattributes", _write(".gitattributes", b"* text eol=crlf\n*.py ident\n"), "protected"),
    Tree("tracked file ignored now", _shell("echo src >> .gitignore; git rm -rq --cached src; git commit -qm x")),
    Tree("committed", _committed),
    Tree("history thrown away", _shell("git checkout -q --orphan x; git commit -qm x; echo y > README.md; git gc -q --prune=now")),
    Tree("git directory removed", _shell("rm -rf .git; echo y > README.md")),
    Tree("git directory a file", _shell("rm -rf .git; echo 'gitdir: /etc' > .git; echo y > README.md")),
    Tree("index broken", _shell("head -c 100 /dev/urandom > .git/index; echo y > README.md")),
    Tree("git that starts programs", _payloads),
    Tree("times of another age", _shell("touch -d 2099-01-01 README.md; touch -d 1971-01-01 src/main.py; echo y >> README.md")),
    Tree("link inside", _link("link", "src/deep/er/x.txt")),
    Tree("link to nothing", _link("link", "not/there")),
    Tree("nfd beside nothing", _write("e\u0301te\u0301.txt")),
    Tree("absolute link", _link("link", "/etc/passwd"), "symlink"),
    Tree("link out", _link("link", "../../outside"), "symlink"),
    Tree("link out by a detour", _link("link", "src/../../x"), "symlink"),
    Tree("link into git", _link("link", ".git/config"), "symlink"),
    Tree("tracked file to a link out", _link("README.md", "/etc/passwd"), "symlink"),
    Tree("fifo", _shell("mkfifo pipe"), "special"),
    Tree("tracked file to fifo", _shell("rm README.md; mkfifo README.md"), "special"),
    Tree("socket", _socket, "special"),
    Tree("nested repository", _nested, "nested"),
    Tree("bare repository", _bare, "nested"),
    Tree("newline in a name", _write("a\nb"), "name"),
    Tree("escape in a name", _write("a\x1b[31m"), "name"),
    Tree("name that is not UTF-8", _write(b"caf\xe9"), "name"),
    Tree("case collision", _shell("echo 1 > a.txt; echo 2 > A.txt"), "case_collision"),
    Tree("case collision with a tracked file", _write("readme.MD"), "case_collision"),
    Tree("nfd collision with a tracked file", _write("cafe\u0301.txt"), "case_collision"),
    Tree("nfc and nfd collision", lambda tree: [_write("\u00e9")(tree), _write("e\u0301")(tree)], "case_collision"),
    Tree("colliding directories", _shell("mkdir Src; echo x > Src/y"), "case_collision"),
    Tree("too deep", _write("d/" * 70 + "x"), "depth"),
    Tree("key file", _write("deploy/id_rsa"), "key_file"),
    Tree("environment file", _write(".env.production"), "key_file"),
    Tree("certificate", _write("tls/server.pem"), "key_file"),
    Tree("token", _write("x.py", b"TOKEN = 'ghp_" + b"a1B2c3D4e5" * 4 + b"'\n"), "shape"),
    Tree("private key", _write("x.txt", b"-----BEGIN PRIVATE KEY-----\n" + b"A1b2" * 40 + b"\n-----END PRIVATE KEY-----\n"), "shape"),
    Tree("delete many", _shell("rm -r many"), "deletions"),
    Tree("delete many and commit", _delete_and_commit, "deletions"),
    Tree("truncate many", _shell("for f in many/*; do : > $f; done"), "deletions"),
    Tree("stub many", _shell("for f in many/*; do echo stub > $f; done"), "deletions"),
    Tree("many to links", _shell("for f in many/*; do ln -sf ../README.md $f; done"), "deletions"),
    Tree("very many files", _shell("mkdir lots; for n in $(seq 1001); do echo > lots/$n; done"), "files"),
    *_protected(),
    *_dotgits(),
)
