"""Images as values: what they contain, and how ccterm's own scripts probe and complete them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.image_build import CLAUDE_PATH

_NPM = re.compile(re.escape(image_spec.NPM).replace(r"\{version\}", r"(\S+)"))
_TOOLS = {"python3": "/usr/bin/python3", "git": "/usr/bin/git", "bash": "/bin/bash", "python": "3.11"}
_DEBIAN = {"apt-get": "/usr/bin/apt-get", "bash": "/bin/bash"}
_NODE = {"npm": "/usr/local/bin/npm"}


@dataclass(frozen=True)
class FakeImage:
    """An image. has: what PROBE prints of it. broken: last lines of an installation that fails. full: the disk is full when it is exported."""

    has: Mapping[str, str] = field(default_factory=dict)
    broken: Sequence[str] = ()
    full: bool = False

    def with_claude(self, version: str) -> "FakeImage":
        """Return the image with a version of the Claude CLI."""
        claude = {"claude": CLAUDE_PATH, "claude-version": version, "claude-file": f"{CLAUDE_PATH}.js"}
        return replace(self, has={**self.has, **claude})

    def tarball(self, path: Path) -> Path:
        """Write it to a file."""
        path.write_text(json.dumps({"fake image": asdict(self)}))
        return path

    @classmethod
    def read(cls, path: Path) -> "FakeImage":
        """Return the image in a file. Raises ValueError when the file is not an image."""
        try:
            return cls(**json.loads(path.read_text())["fake image"])
        except (KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError("no image") from error


BARE = FakeImage({**_DEBIAN, **_NODE})
"""Like node:20-slim: a Debian with npm and nothing that boxes need."""
TOOLS = FakeImage({**_DEBIAN, **_TOOLS})
"""A user's image with everything that boxes need except the Claude CLI."""


def whole(version: str) -> FakeImage:
    """Return an image that lacks nothing."""
    return TOOLS.with_claude(version)


@dataclass(frozen=True)
class Known:
    """The canned result of one of ccterm's scripts: its output, its exit code, and the image that results."""

    image: FakeImage
    stdout: str = ""
    stderr: str = ""
    code: int = 0


def known(args: Sequence[str], image: FakeImage) -> Known | None:
    """Return the canned result of a script that probes or completes an image; None for any other command."""
    if len(args) < 3 or list(args[:2]) != ["sh", "-c"]:
        return None
    script = args[2]
    if script == image_spec.PROBE:
        return Known(image, "".join(f"{name}={value}\n" for name, value in image.has.items()))
    if script == image_spec.INSTALL:
        if image.broken:
            return Known(image, "Reading package lists...\n", "".join(f"{line}\n" for line in image.broken), 100)
        return Known(replace(image, has={**image.has, **_TOOLS}), "Reading package lists...\nSetting up git ...\n")
    if found := _NPM.fullmatch(script):
        return Known(image.with_claude(found[1]), "added 3 packages in 2s\n")
    if script == image_spec.FURNISH:
        return _furnished(image)
    return None


def _furnished(image: FakeImage) -> Known:
    number = image.has.get("agent", str(image_spec.UID))
    if number != str(image_spec.UID):
        return Known(image, "", f"its user agent is not number {image_spec.UID}\n", 3)
    return Known(replace(image, has={**image.has, "agent": number}))
