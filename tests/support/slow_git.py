"""A git whose matcher takes for ever for one pattern, as old versions do for many: newer ones are quick, so that tests need a stand-in."""

import os
import shutil
from pathlib import Path

PATTERN = "sl*w/**/b"
"""The pattern that it never matches."""
_SCRIPT = """#!/bin/sh
case " $* " in *" check-ignore "*|*" check-attr "*|*" --others "*) ;; *) exec {git} "$@";; esac
rules=
for word; do
    case $word in core.excludesFile=*|core.attributesFile=*) rules=${{word#*=}};; *'{pattern}'*) exec sleep 120;; esac
done
grep -rqsF '{pattern}' ${{rules:+"$rules"}} "$GIT_WORK_TREE" --include=.git* --include=rules --include=exclude && exec sleep 120
exec {git} "$@"
"""


def slow_git(directory: Path) -> str:
    """Return a PATH with such a git in front."""
    program = directory / "slow" / "git"
    program.parent.mkdir()
    program.write_text(_SCRIPT.format(git=shutil.which("git"), pattern=PATTERN))
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"
