"""Reads what an agent on this machine has changed up to now, by a program of its own beside the agent's box."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.local.copy import remove_tree
from ccterm.executors.temporary import make_temporary
from ccterm.processes import run_command_async

LARGEST = 8 << 20
"""Bytes of such a patch that are shown."""
_SECONDS = 60.0
_ERRORS = 4096
_NEEDED = re.compile("PATH|LANG|LC_[A-Z]+|TZ")


async def print_live_patch(commit: Mapping[str, JsonValue], bundle: Path, environ: Mapping[str, str]) -> bytes:
    """Return the patch of an agent's tree as it is. commit: the request of the step commit, with absolute paths. Raises StepError."""
    scratch = await asyncio.to_thread(make_temporary, "live")
    try:
        path = scratch / "request.json"
        await asyncio.to_thread(path.write_text, json.dumps({"commit": dict(commit), "limit": LARGEST}), "ascii")
        env = {name: value for name, value in environ.items() if _NEEDED.fullmatch(name)} | {"TMPDIR": str(scratch)}
        env.setdefault("PATH", os.defpath)
        argv = [sys.executable, "-I", "-S", str(bundle / "__main__.py"), "live", str(path)]
        ended = await run_command_async(argv, env=env, seconds=_SECONDS, limit=LARGEST + 1, errors=_ERRORS)
    except OSError as error:
        raise StepError(
            Cause.COMMIT, f"the agent's tree cannot be read now: {error.strerror or 'it took too long'}", "try again"
        ) from error
    finally:
        await asyncio.to_thread(remove_tree, scratch)
    if ended.code:
        words = ended.errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise StepError(Cause.COMMIT, f"the agent's tree cannot be read now: {words}", "try again")
    return ended.output
