"""A process that has read secrets, and that reports everything that can go wrong: run with a directory for its log, in an environment as CI has it."""

import asyncio
import base64
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from ccterm.causes import Cause
from ccterm.cli.console import log_to, print_data, print_json
from ccterm.cli.errors import explain
from ccterm.cli.streams import guard_streams
from ccterm.errors import PreflightError, StepError
from ccterm.output.own_text import remember
from ccterm.service.wire import WireError

SECRET = 'tok-7Q2m"Wx9&Zr4Lk5Tn8'
SPELLINGS: Mapping[str, str] = {
    "as it is": SECRET,
    "as JSON": json.dumps({"token": SECRET}),
    "in a URL": f"https://host.example/?q={quote(SECRET)}",
    "with an escape sequence inside": f"{SECRET[:5]}\x1b[31m{SECRET[5:]}",
    "in base64": base64.b64encode(f"x-access-token:{SECRET}".encode()).decode(),
}
COMMANDS = [
    f"{before}::{command}::{SECRET}"
    for command in ("add-mask", "error file=a", "stop-commands", "set-output name=a", "add-path", "save-state name=x", "debug", "group")
    for before in ("", "  ", "line\n")
] + [f"{before}##[{name}]value" for name in ("error", "set-output name=a", "add-path") for before in ("", "text ")]


class Form(BaseModel):
    number: int


def _invalid(text: str) -> Exception:
    try:
        Form.model_validate({"number": text})
    except ValidationError as error:
        return error
    raise AssertionError


def _with_cause(text: str) -> Exception:
    error = RuntimeError("what followed")
    error.__cause__ = ValueError(text)
    return error


def _with_note(text: str) -> Exception:
    error = RuntimeError("noted")
    error.add_note(text)
    return error


SHAPES: Mapping[str, Callable[[str], BaseException]] = {
    "argument": RuntimeError,
    "several arguments": lambda text: ValueError(1, {"headers": [text]}),
    "key": KeyError,
    "path": lambda text: FileNotFoundError(2, "No such file", text),
    "command": lambda text: subprocess.CalledProcessError(1, ["git", text], output=text.encode()),
    "input": _invalid,
    "cause": _with_cause,
    "note": _with_note,
    "group": lambda text: ExceptionGroup("several", [ValueError(text), PreflightError(text, text)]),
    "refusal": lambda text: StepError(Cause.PUSH, f"the remote said {text}", f"give another one than {text}"),
}


def report(error: BaseException) -> None:
    """Report an error in every way in which this process can."""
    try:
        raise error
    except BaseException as raised:
        logging.getLogger("ccterm.test").exception("failed: %s", raised)  # noqa: TRY401 - that is what is tested
        explain(raised)
    if isinstance(error, StepError):
        print_json(WireError.of(error).model_dump(mode="json"))
    asyncio.run(_unretrieved(error))


async def _unretrieved(error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": f"unretrieved {error!r}", "exception": error})


def main(directory: Path) -> None:
    """Report every shape of error in every spelling of the secret, then print what a CI runner might obey."""
    guard_streams()
    log_to(directory)
    remember([("the token", SECRET)])
    for text in SPELLINGS.values():
        for shape in SHAPES.values():
            report(shape(text))
    for command in COMMANDS:
        print_data(command)
        print_json({"said": command.replace(SECRET, "it")})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
