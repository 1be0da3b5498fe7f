"""Paths that are more than text: what runs by itself, what configures tools, and what holds keys. Pure rules about names."""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase

_DIRECTORIES = (
    ".github/workflows", ".github/actions", ".circleci", ".buildkite", ".husky", ".githooks", ".git-hooks", ".vscode", ".idea", ".claude",
    ".devcontainer", ".cargo",
)  # fmt: skip
_FILES = frozenset(
    [
        ".gitlab-ci.yml", "jenkinsfile", "azure-pipelines.yml", "bitbucket-pipelines.yml", ".travis.yml", ".drone.yml", ".woodpecker.yml",
        ".pre-commit-config.yaml", ".pre-commit-hooks.yaml", "lefthook.yml", ".lefthook.yml", ".envrc", ".mcp.json", "claude.md",
        "claude.local.md", "agents.md", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "bunfig.toml", "pip.conf", ".pypirc",
        ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".gitmodules",
        ".gitconfig", ".ccterm.toml", ".worktreeinclude", "mise.toml", ".mise.toml",
    ]
)  # fmt: skip
_KEYS = re.compile(
    r"\.env(\.(?!example$|sample$|template$|dist$|defaults?$)[^/]*)?|.*\.(pem|p12|pfx|jks|keystore|kdbx|ppk)"
    r"|id_(rsa|dsa|ecdsa|ed25519)|\.credentials\.json|\.netrc|\.pgpass|\.htpasswd"
)


def is_protected(path: str) -> bool:
    """Whether a tool runs or obeys what is at a path without being asked; case is ignored, as some file systems do."""
    whole = path.lower()
    padded = f"/{whole}/"
    return whole.rpartition("/")[2] in _FILES or any(f"/{directory}/" in padded for directory in _DIRECTORIES)


def is_key_file(path: str) -> bool:
    """Whether a file with that name usually holds keys or passwords."""
    return _KEYS.fullmatch(path.lower().rpartition("/")[2]) is not None


def allowed(path: str, globs: Collection[str]) -> bool:
    """Whether the user allowed a path: itself, a directory above it, or by a glob on the whole path or its last part."""
    last = path.rpartition("/")[2]
    return any(fnmatchcase(path, glob) or fnmatchcase(last, glob) or path.startswith(glob.rstrip("/") + "/") for glob in globs)
