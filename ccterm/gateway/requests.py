"""Which requests of a box are passed on, and what becomes of the pass in them. Everything that is not listed is answered 404, here."""

import base64
import hmac
from enum import Enum

from ccterm.gateway.heads import Headers, RefusedRequest, RequestHead, end_to_end, replaced
from ccterm.gateway.orders import API_HOST


class RequestKind(Enum):
    """What a listed request is, which decides how it is answered."""

    ANSWER = "an answer of the model"
    COUNT = "a count of tokens"
    ORGANISATION = "what the login's organisation allows"
    DOMAIN = "whether a web page may be read"


_LISTED = {
    (b"POST", b"/v1/messages"): RequestKind.ANSWER,
    (b"POST", b"/v1/messages/count_tokens"): RequestKind.COUNT,
    (b"GET", b"/api/claude_code/settings"): RequestKind.ORGANISATION,
    (b"GET", b"/api/claude_code/policy_limits"): RequestKind.ORGANISATION,
    (b"GET", b"/api/web/domain_info"): RequestKind.DOMAIN,
}
_CREDENTIALS = (b"authorization", b"x-api-key")
_ORIGIN = b"origin"
"""Of a browser's page. The API may refuse the login for it, which would be taken for a bad one then."""


def kind_of(head: RequestHead) -> RequestKind:
    """Return what is asked. Raises RefusedRequest for what is not listed; paths are compared as they are, so nothing is decoded or resolved."""
    kind = _LISTED.get((head.method, head.path))
    if kind is None:
        raise RefusedRequest(404, "this is not passed on: a run's box may ask for answers of the model, and for little else")
    if head.method == b"GET" and head.length:
        raise RefusedRequest(400, "a body does not belong here")
    return kind


def check_pass(head: RequestHead, token: bytes) -> None:
    """Raise RefusedRequest unless the request has this run's pass, and no other credential."""
    given = [value.removeprefix(b"Bearer ") for name in _CREDENTIALS for value in head.values(name)]
    valid = [hmac.compare_digest(value, token) for value in given]
    if not valid or not all(valid):
        raise RefusedRequest(401, "this pass is not valid here: it belongs to another run, or to one that has ended")


def check_git_pass(head: RequestHead, token: bytes) -> None:
    """Raise RefusedRequest unless the request has this run's pass as git sends it: as a password, once it was asked for one."""
    given = b"".join(value.removeprefix(b"Basic ") for value in head.values(b"authorization"))
    if not hmac.compare_digest(given, base64.b64encode(b"run:" + token)):
        raise RefusedRequest(401, "this run's pass is missing", challenge='Basic realm="ccterm"')


def for_api(headers: Headers, authority: str, credential: tuple[bytes, bytes] | None) -> Headers:
    """Return a box's headers as the API gets them: the login in place of the pass, its own host, and an answer that can be read."""
    given = [(name, value) for name, value in end_to_end(headers) if name.lower() != _ORIGIN]
    given = _with_login(given, *credential) if credential else without_credentials(given)
    given = replaced(given, b"host", authority.encode())
    return replaced(given, b"accept-encoding", b"identity")


def _with_login(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Put the login where the first credential was."""
    place = next(index for index, (given, _) in enumerate(headers) if given.lower() in _CREDENTIALS)
    written = headers[place][0]
    login = (written if written.lower() == name else name, value)
    return [*without_credentials(headers[:place]), login, *without_credentials(headers[place + 1 :])]


def without_credentials(headers: Headers) -> Headers:
    """Return the headers without any credential."""
    return [(name, value) for name, value in headers if name.lower() not in _CREDENTIALS]


def is_api(target: bytes) -> bool:
    """Whether a CONNECT asks for the API, the only host that is reached through here."""
    host, _, port = target.lower().rpartition(b":")
    return port == b"443" and host.removesuffix(b".") == API_HOST.encode()
