"""Read-only git for a run: named repositories, with their login added here. Nothing is ever pushed through it, whatever the login may do."""

import re
from collections.abc import Mapping

from ccterm.gateway.box_connection import BoxConnection
from ccterm.gateway.heads import RefusedRequest, RequestHead, end_to_end, replaced
from ccterm.gateway.requests import without_credentials
from ccterm.gateway.upstream import Upstream
from ccterm.gateway.way_out import WayOut

PREFIX = b"/git/"
"""Before HOST/PATH in what a box asks."""
_DISCOVERY = re.compile(rb"/info/refs\?service=git-(upload|receive)-pack$")
_MORE_OF_A_NAME = re.compile(rb"(?!.*\.\.)[\w.-][\w./-]*")
_REFS, _FETCH = b"/info/refs", b"/git-upload-pack"


class GitReader:
    """Passes on what reads the repositories of one run.

    repositories: HOST/PATH without .git, to the value of the Authorization header. authorities: HOST to certificates that are believed there.
    """

    def __init__(self, repositories: Mapping[str, str], way: WayOut, authorities: Mapping[str, str]) -> None:
        self._logins = {name.encode(): login.encode("utf-8", "replace") for name, login in repositories.items()}
        hosts = {name.partition("/")[0] for name in repositories}
        self._upstreams = {host: Upstream(f"https://{host}", way.believing(authorities.get(host, ""))) for host in hosts}

    async def answer(self, head: RequestHead, body: bytes, box: BoxConnection) -> None:
        """Answer one request. Raises RefusedRequest, Unreachable and OSError.

        A redirect is not passed on: git would follow it, to an address that nobody named.
        """
        if elsewhere := self._elsewhere(head):
            await box.respond(302, b"", [(b"location", elsewhere)])
            return
        host, rest, login = self._named(head)
        upstream = self._upstreams[host]
        headers = replaced(without_credentials(end_to_end(head.headers)), b"host", upstream.destination.authority.encode())
        async with upstream.ask(head.method, b"/" + rest, [*headers, (b"Authorization", login)], body) as answer:
            if answer.status == 401:  # git would ask the agent for another login
                raise RefusedRequest(403, f"{host} refuses the token by which this repository is read")
            if 300 <= answer.status < 400 and answer.status != 304:
                raise RefusedRequest(404, f"this repository has moved, {host} says; name its new address")
            await box.begin(answer.status, end_to_end(answer.headers), answer.reason)
            async for piece in answer.pieces():
                await box.piece(piece)
            await box.finish()

    def _elsewhere(self, head: RequestHead) -> bytes:
        """Return the address of a repository that was not named and whose name begins like one that was; b"" for all others.

        git compares addresses as texts (`insteadOf`), so that it asks here for HOST/LIB-TOOLS, too, where HOST/LIB was named.
        """
        target = head.target.removeprefix(PREFIX)
        name = target.partition(b"?")[0].removesuffix(_REFS).removesuffix(b".git")
        if head.method != b"GET" or not _DISCOVERY.search(target) or name in self._logins:
            return b""
        alike = any(name.startswith(known) and _MORE_OF_A_NAME.fullmatch(name, len(known)) for known in self._logins)
        return b"https://" + target if alike else b""

    def _named(self, head: RequestHead) -> tuple[str, bytes, bytes]:
        """Return host, target and login of what is asked. Names are compared as they are, so nothing is decoded or resolved."""
        target = head.target.removeprefix(PREFIX)
        path, _, query = target.partition(b"?")
        if b"git-receive-pack" in target:
            raise RefusedRequest(403, "repositories are only read here")
        for method, ending, wanted in ((b"GET", _REFS, b"service=git-upload-pack"), (b"POST", _FETCH, b"")):
            if head.method == method and path.endswith(ending) and query == wanted:
                name = path.removesuffix(ending).removesuffix(b".git")
                if name in self._logins:
                    host, _, rest = target.partition(b"/")
                    return host.decode("ascii"), rest, self._logins[name]
        raise RefusedRequest(404, "this repository was not named for the run")
