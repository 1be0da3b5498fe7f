"""What images for boxes are made of, as values and shell scripts: what is probed, installed and refused."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccterm.errors import PreflightError

BASE = "docker.io/library/node:20-slim@sha256:2cf067cfed83d5ea958367df9f966191a942351a2df77d6f0193e162b5febfc0"
"""node:20-slim by digest: always the same bytes, and no registry is asked once an engine has it."""
UID = 1001
"""Uid of the user `agent`, the same in every image because files go from box to box."""
PYTHON = (3, 11)
"""The oldest Python that can run the programs of boxes."""
VERSION = "1"
"""Changes with the scripts below, so that images built by older ones are built again."""
PACKAGES = "git ca-certificates python3 procps less jq ripgrep openssh-client"

PROBE = r"""
for tool in python3 git bash claude apt-get npm; do
    path=$(command -v "$tool") && echo "$tool=$path"
done
python3 -c 'import json, sys; print("python=%d.%d" % sys.version_info[:2])' 2>/dev/null
version=$(claude --version 2>/dev/null) && echo "claude-version=${version%% *}"
path=$(command -v claude) && echo "claude-file=$(readlink -f "$path")"
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

_CLOSED = r"""
import os, pwd, stat, sys
places = {*map(os.path.realpath, ("/ccterm", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", sys.prefix, os.path.dirname(os.__file__)))}
places = [place for place in places if os.path.exists(place) and not any(place.startswith(other + "/") for other in places)]
agent = pwd.getpwnam("agent")
os.setgroups(os.getgrouplist("agent", agent.pw_gid)); os.setgid(agent.pw_gid); os.setuid(agent.pw_uid)
def is_open(path):
    entry = os.lstat(path)
    if stat.S_ISLNK(entry.st_mode):
        return False
    hidden = stat.S_ISDIR(entry.st_mode) and os.access(path, os.X_OK) and not os.access(path, os.R_OK)
    return hidden or entry.st_uid == agent.pw_uid or os.access(path, os.W_OK)
def above(path):
    while path != "/":
        path = os.path.dirname(path)
        yield path
def below(place):
    yield place
    for at, directories, files in os.walk(place):
        yield from (at + "/" + name for name in directories + files)
led = [name for name in os.environ if name.startswith("LD_")]
sys.exit(bool(led) or any(is_open(path) for place in places for path in [*above(place), *below(place)]))
"""
CLOSED = f"if python3 -I -S -c '{_CLOSED}'; then touch /ccterm/closed; fi"
"""Leaves a mark beside the programs of boxes if the user `agent` can change nothing that they use: programs, libraries, system settings."""
FURNISH = f"""
set -e
if ! id -u agent >/dev/null 2>&1; then
    if command -v useradd >/dev/null; then useradd -o -m -u {UID} -s /bin/bash agent; else adduser -D -u {UID} agent; fi
fi
if [ "$(id -u agent)" != {UID} ]; then echo "the uid of its user agent is not {UID}" >&2; exit 3; fi
home=$(eval echo ~agent)
mkdir -p /box /work "$home/.npm" "$home/.cache/pip"
chown agent: /box /work "$home" "$home/.npm" "$home/.cache" "$home/.cache/pip"
python3 -m compileall -q --invalidation-mode unchecked-hash /ccterm
{CLOSED}
cd /ccterm
find ccterm -name '[a-z]*.py' | sed 's/[.]py$//; s,/,.,g; s/^/import /' | python3 -I -c 'import sys; sys.path.insert(0, "/ccterm"); exec(sys.stdin.read())'
"""
"""What every image gets on top: the user, the directories, and ccterm's programs compiled, because nothing is written there later.

Finally all programs are imported once. Where the times of an image's files were changed, Python considers the bytecode of its own library
stale and would compile it again in every box (0.2 s a step); this import renews it.
"""


@dataclass(frozen=True)
class ImageSpec:
    """How ccterm's own image is built. base: a reference or the path of a tarball."""

    base: str
    claude_version: str

    def key(self, *parts: str) -> str:
        """Return a key for the image that this spec makes of further parts."""
        text = "\0".join([VERSION, self.base, self.claude_version, PACKAGES, INSTALL, NPM, *parts])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_probe(output: str) -> Mapping[str, str]:
    """Parse the output of PROBE."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def tools_missing(has: Mapping[str, str]) -> Sequence[str]:
    """Return which of the tools that every box needs are missing."""
    return [name for name in ("python3", "git", "bash") if name not in has] or (["json in its python3"] if "python" not in has else [])


def require(name: str, has: Mapping[str, str]) -> None:
    """Raise PreflightError, naming what is missing, when boxes cannot be made of an image."""
    if missing := tools_missing(has):
        raise PreflightError(
            f"the image {name} has no {' and no '.join(missing)}",
            f"add what is missing to the image (apt-get install {PACKAGES}), or use another image",
        )
    version = tuple(int(part) for part in has["python"].split("."))
    if version < PYTHON:
        lowest = ".".join(map(str, PYTHON))
        raise PreflightError(f"the image {name} has Python {has['python']}; boxes need {lowest} or newer", "use a newer base image")
    if has.get("agent", str(UID)) != str(UID):
        raise PreflightError(f"the image {name} has a user agent with uid {has['agent']}", f"change its uid to {UID}, or remove it")
