"""What host and box send to each other: requests in, frames out, orders over the control socket.

A step program prints nothing but frames on stdout: one ASCII JSON object a line, numbered from 0 without gaps. ASCII because a
Dagger log stream drops any record that is cut inside a multi-byte character; numbered so that the host notices a missing one.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ccterm.git.types import Ssh

Stream = Literal[1, 2]


class Frame(TypedDict):
    """One line of a step program's stdout. Fields other than n, t, k, z depend on the kind."""

    n: int
    t: float
    k: Literal["line", "note", "report", "end", "checkpoint"]
    z: NotRequired[int]
    """Of a long frame: bytes between this field and the end of the line. A piece from the middle may be lost in transit."""
    s: NotRequired[Stream]
    d: NotRequired[str]
    part: NotRequired[bool]
    what: NotRequired[str]
    """Of a note: "text" (default), "steered", "waiting", "answered", "stopping", "looked" (the checkpoint that was ordered has been made, or nothing is new),
    "egress" (d is the HOST:PORT that a program of the box asked the box proxy for).

    Of a checkpoint, whose d is base64: "segment" (new pieces of files, compressed), "said" (a new line of the conversation), "restart" (the
    same, of a conversation that is another one than before), "whole" (the last: JSON with at, report and files, which are name -> pieces).
    """
    number: NotRequired[int]
    """Of a checkpoint: which one. One may break off, and the next begin. Of "egress": how often this was asked for so far."""
    taken: NotRequired[bool]
    """Of "steered": whether the message was taken up. Of "egress": whether the connection was let through."""
    detail: NotRequired[str]
    """Of "steered" and "egress": why not."""
    until: NotRequired[float]
    """Of "waiting": unix seconds; absent = no longer waiting."""
    request: NotRequired[str]
    """Of "answered": which of the agent's questions for permission; d is what the user said. Of "steered": which message, d is its text."""
    answer: NotRequired[str]
    """Of "answered": allowed, always, denied, expired (nobody answered) or withdrawn."""
    report: NotRequired[Mapping[str, Any]]  # the report of the program, one of the TypedDicts below; the host validates it


class Report(TypedDict):
    """The fields of every report: ok; if false, a reason for programs and a detail for people."""

    ok: bool
    reason: NotRequired[str]
    detail: NotRequired[str]


class Keep(TypedDict):
    """Files of the agent's HOME to copy out when it ends: a glob relative to HOME, and a relative directory."""

    glob: str
    to: str


class RepositoryConfig(TypedDict):
    """What the agent settings of the repository may do."""

    obeyed: str
    """"" = nothing; "*" = everything; else everything, if the digest of them is this one (`git.agent_files`)."""
    hint: str
    """What lets them act, for the user."""


class CheckpointRequest(TypedDict):
    """Make one checkpoint of a working agent. The supervisor completes what the host asked for."""

    commit: "CommitRequest"
    """tree and out are the supervisor's; clean lies in a directory that the supervisor closes to the agent."""
    seconds: float
    """How often one is made while the agent works."""
    tree: NotRequired[str]
    home: NotRequired[str]
    keep: NotRequired[list["Keep"]]
    user: NotRequired[str | None]
    mark: NotRequired[str]
    began: NotRequired[float]
    """When the agent started, in unix seconds."""
    number: NotRequired[int]
    last: NotRequired[int]
    """The last checkpoint that went out whole; 0 = none."""


class GitReadRequest(TypedDict):
    """What git in a box reads through the host's login gateway."""

    repositories: list[str]
    """HOST/PATH without .git."""
    pass_name: str
    """The environment variable that holds the run's pass, without which nothing is read: the box proxy may be open to all of this machine."""


class NetworkRequest(TypedDict):
    """How the programs of a box reach the network: through the box proxy. Without this they go directly."""

    mode: Literal["open", "record", "list"]
    """open: anything; record: anything, and each host is told; list: `hosts` alone, and the network is closed to everything else."""
    hosts: list[str]
    """Of "list": HOST, HOST:PORT, *.HOST or *.HOST:PORT; without a port, 443 and 80."""
    gateway: str | None
    """Relative mount of the socket on which the host's login gateway serves this run, or None."""
    ca: str | None
    """The gateway's certificate authority as PEM text, or None."""
    services: dict[str, int]
    """Alias -> port of the containers that run beside the step."""
    git: NotRequired[GitReadRequest | None]


class SuperviseRequest(TypedDict):
    """Start an agent and supervise it to its end."""

    argv: list[str]
    """["@box", "scripted", …] names a program of this package."""
    cwd: str
    env: dict[str, str]
    home: str | None
    """Relative directory that becomes HOME, or None for the HOME of the box."""
    prompt: str
    hold: bool
    """Whether the agent waits for input after each turn."""
    hold_seconds: float
    """How long it waits for input, or for an answer to its question for permission."""
    wall_seconds: float
    silence_seconds: float
    mark: str
    control: str | None
    """Relative path of the control socket, or None."""
    user: str | None
    """User that the agent runs as when the program runs as root, or None."""
    keep: list[Keep]
    branch: NotRequired[str | None]
    """Name for the tree's branch, set before the agent starts."""
    repository: NotRequired[RepositoryConfig | None]
    """For Claude: its launch line is completed by what of the repository's own configuration may act."""
    checkpoint: NotRequired[CheckpointRequest | None]
    """Where nothing of the box outlives the host: what would be lost with it is handed out while the agent works."""
    commit: NotRequired["CommitRequest | None"]
    """Where the box is a container: the step commit, to be made in it when the agent ended well. body holds the trailers; clean and out lie
    beside the box, where nobody else writes."""
    network: NotRequired[NetworkRequest | None]
    """Where there is one, `@ccterm-box-proxy` in `argv` and in the values of `env` stands for the box proxy's address, http://127.0.0.1:PORT."""
    grace_seconds: NotRequired[float]
    """How long the agent may take to exit after its last result; default 15."""
    termination_seconds: NotRequired[list[float]]
    """How long each step of a stop may take: interrupt, SIGTERM, SIGKILL; default 4, 3, 2."""


StoppedBy = Literal["", "asked", "now", "timeout", "stalled", "host"]


class SuperviseReport(Report):
    """How the agent ended. ok = it could be started. reason: not_found, not_executable, control, network."""

    exit: NotRequired[int | None]
    signal: NotRequired[int | None]
    stopped_by: NotRequired[StoppedBy]
    seconds: NotRequired[float]
    alive: NotRequired[int]
    """How many of its processes outlive the box; 0 in a container, which ends with everything in it."""
    committed: NotRequired[bool]
    """Whether `out` of the commit that was asked for holds its files and its report. The report itself says whether it succeeded."""


class ShellRequest(TypedDict):
    """Run a user's command with bash -c (sh where there is none) in a tree."""

    command: str
    cwd: str
    env: dict[str, str]
    timeout_seconds: float
    mark: str
    overlay: NotRequired[str | None]
    """Relative bare git directory whose `commit` is checked out over the tree first."""
    commit: NotRequired[str | None]
    base: NotRequired[str | None]
    record: NotRequired[str | None]
    """Relative directory for a record of what the command left in the tree, or None."""
    network: NotRequired[NetworkRequest | None]
    user: NotRequired[str | None]
    """User that the program itself becomes, once the network is closed, or None."""


class ShellReport(Report):
    """ok = exit 0. reason: exit, signal, timeout, overlay, network."""

    exit: NotRequired[int | None]
    signal: NotRequired[int | None]
    tail: NotRequired[str]


class CommitRequest(TypedDict):
    """Make one commit of an agent's tree, which is only read as data."""

    tree: str
    clean: str
    out: str
    """Relative directory for work.bundle, work.patch, changes.json, added.bin, refused/, side.bundle and side.patch."""
    base: str | None
    subject: str | None
    """The user's subject, or None: the agent's own last one, else `fallback`."""
    fallback: str
    body: str
    author: str
    """`Name <mail>`, also the committer."""
    max_file_bytes: int
    max_total_bytes: int
    lfs: NotRequired[bool]
    """Whether the step checkout replaced pointers by LFS files; changes of such files are refused."""
    sparse: NotRequired[str]
    """A file that lists, NUL-terminated, the base's paths that the tree lacks because they were not changed. What is there is all work."""
    left: NotRequired[str | None]
    """Relative directory with the record of what setup left, which enters no commit; None when no setup ran."""
    snapshot: NotRequired[bool]
    """Whether the base may be a commit that only the host has, as `SNAPSHOT_REF` says: side.bundle then builds on the commits below it."""


class Refusal(TypedDict):
    """A path that must not enter the commit.

    rule: dotgit, nested, gitlink, special, symlink, name, case_collision, size, total, depth, unreadable, content (git itself rejects
    it), lfs. In `path`, bytes that are not UTF-8 stand as escapes.
    """

    rule: str
    path: str
    detail: str


class SideRef(TypedDict):
    """A ref of side.bundle, named without refs/ccterm/side/. In `name`, bytes that are not UTF-8 stand as lone surrogates."""

    name: str
    sha: str
    commits: int
    """How many commits it reaches that neither the base, the remote's refs nor the refs before it reach."""
    changes: bool
    """Whether it is what was not committed: an entry of the stash, or what a worktree held."""


class CommitReport(Report):
    """reason: git, disk, io, base. `commit` None = nothing changed."""

    commit: NotRequired[str | None]
    subject: NotRequired[str]
    files: NotRequired[int]
    added: NotRequired[int]
    removed: NotRequired[int]
    deleted: NotRequired[int]
    tracked_lines: NotRequired[int | None]
    """Lines in all text files of the base; counted only if very many lines were removed."""
    refusals: NotRequired[list[Refusal]]
    notes: NotRequired[list[str]]
    side: NotRequired[list[SideRef]]
    """What the agent left beside its tree, and side.bundle holds."""
    unread: NotRequired[list[str]]
    """In sentences, what there may be beside the tree that the bundle does not hold: only the tree itself has it."""


class PushRequest(TypedDict):
    """Push one commit, create-only or leased on `tip`, and verify it."""

    remote: str
    branch: str
    clean: str
    commit: str
    tip: str | None
    bundle: str
    """Relative bundle that the commit is taken from; of `clean` only the objects that it builds on are used."""
    ca: NotRequired[str | None]
    ssh: NotRequired[Ssh | None]
    safe: NotRequired[bool]


class PushReport(Report):
    """reason: refused, exists, non_fast_forward, auth, network, hook, size, not_found, protocol, disk, git, io."""

    remote_sha: NotRequired[str | None]
    verified: NotRequired[bool]


class Order(TypedDict):
    """One line that the host writes to the control socket."""

    do: Literal[
        "say", "hold", "release", "interrupt", "end", "stop", "kill", "allow", "always", "deny", "checkpoint", "reconnect",
        "login_awaited", "login_settled",
    ]  # fmt: skip
    """reconnect: the login gateway was started again; close what leads to the first one. login_awaited: the gateway holds a request of the agent,
    whose silence does not count until login_settled."""
    text: NotRequired[str]
    request: NotRequired[str]
    """Of "allow", "always" and "deny": which of the agent's questions is answered, by its id."""
