"""`ccterm auth setup`: from `claude setup-token` to a token in the keyring, proved if the user likes."""

import subprocess
import sys

from pydantic import SecretStr

from ccterm.agents.claude import ClaudeAgent
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, print_json, print_note
from ccterm.cli.main import environment
from ccterm.cli.secret_input import read_secret
from ccterm.credentials.claude import Logins
from ccterm.credentials.login import TOKEN_NAME, Login
from ccterm.credentials.login_probe import Proof, prove
from ccterm.credentials.setup_token import COMMAND, VALID, WARN_AFTER, find_token
from ccterm.daemon import announce_login
from ccterm.errors import PreflightError
from ccterm.models import now
from ccterm.settings import Settings, load_settings

_ABOUT = (
    "A setup-token lasts a year, cannot be used up by agents side by side, and can only send requests to the model.\n"
    "A login's own token lasts some 8 hours in containers, and has to be exported again after that."
)


def set_up(*, file: bool, prove: bool | None, as_json: bool) -> ExitCode:
    """Get the token, prove it where that is allowed, store it, and say where and until when."""
    settings = load_settings(None, environment())
    person = sys.stdin.isatty()
    token = _from_person(settings) if person else find_token(read_secret())
    proof = _proof(token, settings, prove=_allowed(prove, person=person))
    where = Logins().tokens.save(token, environment(), file=file)
    carry_out(announce_login(environment()))
    until, warned = now() + VALID, now() + WARN_AFTER
    if as_json:
        print_json({"where": where, "until": until.isoformat(), "proved": proof.valid if proof else None})
        return ExitCode.OK
    if not file and where != "the keyring":
        print_note("there is no keyring, so the token is in a file that only you can read")
    print_note(f"stored in {where}; good until {until:%Y-%m-%d}, from {warned:%Y-%m-%d} on checks remind you")
    if environment().get(TOKEN_NAME):
        print_note(f"{TOKEN_NAME} is set and comes first; unset it to use the stored token")
    return ExitCode.OK


def _from_person(settings: Settings) -> SecretStr:
    print_note(_ABOUT)
    agent = ClaudeAgent(settings.claude_bin, path=environment().get("PATH"))
    try:
        program = agent.found()
    except PreflightError:
        print_note(f"Claude Code is not installed here: run `{COMMAND}` where it is")
    else:
        if _yes(f"run `{COMMAND}` now? It opens your browser. [Y/n] "):
            subprocess.run([program, "setup-token"], env=environment(), check=False)
    return find_token(read_secret(lambda: print_note("paste the token (it is not shown; line breaks do not matter), then press Enter:")))


def _allowed(prove: bool | None, *, person: bool) -> bool:
    if prove is None:
        return person and _yes("prove it with one tiny request to the Claude API? [Y/n] ")
    return prove


def _proof(token: SecretStr, settings: Settings, *, prove: bool) -> Proof | None:
    """Prove a token, and say what came of it. Raises PreflightError for one that the API refuses: it is not stored."""
    if not prove:
        return None
    proof = carry_out(_prove(token, settings.base_url))
    if proof.valid is False:
        raise PreflightError(proof.sentence, proof.fix)
    print_note(proof.sentence if proof.valid else f"not proved: {proof.sentence}; stored all the same")
    return proof


async def _prove(token: SecretStr, base_url: str | None) -> Proof:
    return await prove(Login(kind="setup-token", source="this token", value=token), base_url)


def _yes(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
