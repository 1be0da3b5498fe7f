"""How git in a box reads private repositories: it asks the box proxy instead of their host, and the login gateway behind that adds the token.

The settings are variables of the environment, which count besides every file, and besides what such variables say already.
"""

from collections.abc import Iterator, Mapping, Sequence

from ccterm.git.git import as_environment

_BODY_BYTES = 32 * 1024 * 1024
"""Up to here git sends a request in one piece, with its length, as the gateway wants it; and no larger one is taken there."""

_PASS = "ccterm.pass"
HELPER = f"""!f() {{ test "$1" != get || printf 'username=run\\npassword=%s\\n' "$(git config {_PASS})"; }}; f"""
"""Asks git for the pass, which so is in no command line: other users of a machine can read those."""


def git_through(address: str, repositories: Sequence[str], run_pass: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which git reads repositories, HOST/PATH without .git, through the proxy at an address, http://HOST:PORT.

    run_pass: what git is given when the gateway asks for a password; it shows it nowhere. env: what is set already.
    """
    return as_environment(list(_settings(address.removeprefix("http://"), repositories, run_pass)), env)


def _settings(proxy: str, repositories: Sequence[str], run_pass: str) -> Iterator[tuple[str, str]]:
    yield f"http.http://{proxy}/git/.postBuffer", str(_BODY_BYTES)
    # not in the address: libcurl reports addresses without it (from 8.23 on), which git takes for a redirect and warns of
    yield f"credential.http://{proxy}.helper", ""  # no other one is asked, or told the pass to keep it
    yield f"credential.http://{proxy}.helper", HELPER
    yield _PASS, run_pass
    for name in repositories:
        host, _, path = name.partition("/")
        # a prefix to git, so that it stands for the address with .git, too
        spellings = [f"https://{name}", *([] if ":" in host else [f"git@{host}:{path}", f"ssh://git@{host}/{path}"])]
        yield from ((f"url.http://{proxy}/git/{name}.insteadOf", spelling) for spelling in spellings)
