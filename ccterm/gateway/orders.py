"""What the daemon and the gateway's process say to each other: one JSON object a line. Secrets travel here, never in argv or environment."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, NotRequired, TypedDict

API_HOST = "api.anthropic.com"
API = f"https://{API_HOST}"
LINE_BYTES = 4 * 1024 * 1024
"""Longest line. An admission brings certificates of git hosts, which may be whole bundles."""


class RunNumbers(NamedTuple):
    """What one run has used since its admission. Tokens as the API counts them; `cache`: read from it and written to it."""

    requests: int = 0
    """Requests for an answer that were sent to the API."""
    input: int = 0
    output: int = 0
    cache: int = 0
    limited: int = 0
    """Answers 429."""
    errors: int = 0
    """Other answers from 400 on, and connections to the API that broke."""

    @property
    def tokens(self) -> int:
        """All tokens, which is what a budget counts."""
        return self.input + self.output + self.cache


class LimitWindow(NamedTuple):
    """One usage window of a login."""

    status: str
    """allowed, allowed_warning or rejected; "" = not told."""
    utilization: float | None
    """0-1, or None."""
    resets_at: float | None
    """Seconds since the epoch, or None."""


class LimitWindows(NamedTuple):
    """What the API says of a login's usage windows, in the headers of its answers."""

    status: str
    """allowed, allowed_warning or rejected."""
    binding: str
    """The window that decides the status: five_hour, seven_day, …, or ""."""
    resets_at: float | None
    """When that window begins anew, in seconds since the epoch."""
    windows: Mapping[str, LimitWindow]
    """By their short names: 5h, 7d, …"""


class StartOrder(TypedDict):
    """First of all: what counts of the user's environment on the way to the API."""

    do: Literal["start"]
    environ: Mapping[str, str]


class CertificateOrder(TypedDict):
    """Show boxes this certificate from now on; PEM."""

    do: Literal["certificate"]
    certificate: str
    key: str


class LoginOrder(TypedDict):
    """Take this login under its key, and send again with it what is held."""

    do: Literal["login"]
    login: str
    header: str
    value: str


class GiveUpOrder(TypedDict):
    """Pass on the 401 of the requests that are held for this login."""

    do: Literal["give_up"]
    login: str


class AdmitOrder(TypedDict):
    """Listen for a run; answered by `admitted`, or `refused_run` with the reason."""

    do: Literal["admit"]
    run: str
    login: str
    socket: str
    token: str
    base_url: str | None
    max_tokens: int | None
    git: Mapping[str, str]
    git_authorities: Mapping[str, str]
    numbers: list[int]
    """RunNumbers so far: a process that was started again goes on counting."""


class DismissOrder(TypedDict):
    """Close a run's socket and its connections; answered by `dismissed`."""

    do: Literal["dismiss"]
    run: str
    forget: str
    """The key of its login if that was the login's last run, else ""."""


Order = StartOrder | CertificateOrder | LoginOrder | GiveUpOrder | AdmitOrder | DismissOrder


class GatewayReport(TypedDict):
    """What the process tells; which of the fields are there depends on the kind."""

    told: Literal["admitted", "refused_run", "dismissed", "refused", "used", "limits", "over_budget", "waits", "unreachable"]
    run: NotRequired[str]
    login: NotRequired[str]
    why: NotRequired[str]
    numbers: NotRequired[list[int]]
    waits: NotRequired[bool]
    """Whether a request of the run is held, until there is another login."""
    status: NotRequired[str]
    binding: NotRequired[str]
    resets_at: NotRequired[float | None]
    windows: NotRequired[Mapping[str, tuple[str, float | None, float | None]]]
