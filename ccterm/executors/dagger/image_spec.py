"""What the images of boxes are made of, as values and shell texts: what is looked for, what is installed, what is refused."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccterm.errors import PreflightError

BASE = "docker.io/library/node:20-slim@sha256:2cf067cfed83d5ea958367df9f966191a942351a2df77d6f0193e162b5febfc0"
"""node:20-slim by digest: the same bytes every time, and no registry is asked once it is there."""
UID = 1001
"""The user `agent` has this number in every image: files go from box to box."""
PYTHON = (3, 11)
"""What the programs of boxes need at least."""
VERSION = "1"
"""Changes when the recipe does: images made by an older one are made anew."""
PACKAGES = "git ca-certificates python3 procps less jq ripgrep openssh-client"

PROBE = r"""
for tool in python3 git bash claude apt-get npm; do
    place=$(command -v "$tool") && echo "$tool=$place"
done
python3 -c 'import json, sys; print("python=%d.%d" % sys.version_info[:2])' 2>/dev/null
version=$(claude --version 2>/dev/null) && echo "claude-version=${version%% *}"
place=$(command -v claude) && echo "claude-file=$(readlink -f "$place")"
id=$(id -u agent 2>/dev/null) && echo "agent=$id"
exit 0
"""

INSTALL = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends {PACKAGES} bash
rm -rf /var/lib/apt/lists/*
"""

NPM = "npm install -g --no-fund --no-audit @anthropic-ai/claude-code@{version} && npm cache clean --force"

FURNISH = f"""
set -e
if ! id -u agent >/dev/null 2>&1; then
    if command -v useradd >/dev/null; then useradd -o -m -u {UID} -s /bin/bash agent; else adduser -D -u {UID} agent; fi
fi
if [ "$(id -u agent)" != {UID} ]; then echo "its user agent is not number {UID}" >&2; exit 3; fi
home=$(eval echo ~agent)
mkdir -p /box /work "$home/.npm" "$home/.cache/pip"
chown agent: /box /work "$home" "$home/.npm" "$home/.cache" "$home/.cache/pip"
python3 -m compileall -q --invalidation-mode unchecked-hash /ccterm
cd /ccterm
find ccterm -name '[a-z]*.py' | sed 's/[.]py$//; s,/,.,g; s/^/import /' | python3 -I -c 'import sys; sys.path.insert(0, "/ccterm"); exec(sys.stdin.read())'
"""
"""What every image gets on top: the user, the box, and our programs compiled, as nothing is written there later.

Last, all of them are loaded once: where the times of an image's files were changed, what Python had compiled of its own library counts as
stale, would be compiled again in every box (0.2 s a step), and is now renewed for good.
"""


@dataclass(frozen=True)
class ImageSpec:
    """How ccterm's own image is made. base: a reference or the path of a tarball."""

    base: str
    claude_version: str

    def key(self, *parts: str) -> str:
        """Return a name for what is made by this recipe from further parts."""
        text = "\0".join([VERSION, self.base, self.claude_version, PACKAGES, INSTALL, NPM, *parts])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def found(output: str) -> Mapping[str, str]:
    """Return what PROBE printed."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def tools_missing(has: Mapping[str, str]) -> Sequence[str]:
    """Return which of the tools that every box needs are not there."""
    return [name for name in ("python3", "git", "bash") if name not in has] or (["json in its python3"] if "python" not in has else [])


def require(name: str, has: Mapping[str, str]) -> None:
    """Refuse an image that boxes cannot be made of. Raises PreflightError naming what is missing."""
    if missing := tools_missing(has):
        raise PreflightError(
            f"the image {name} has no {' and no '.join(missing)}",
            f"add what is missing to the image (apt-get install {PACKAGES}), or take another one",
        )
    version = tuple(int(part) for part in has["python"].split("."))
    if version < PYTHON:
        raise PreflightError(f"the image {name} has Python {has['python']}; boxes need 3.11", "take a newer base image")
    if has.get("agent", str(UID)) != str(UID):
        raise PreflightError(f"the image {name} has a user agent with number {has['agent']}", f"give that user number {UID}, or remove it")
