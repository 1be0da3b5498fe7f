"""What host and box say to each other about the steps that make an agent's tree: resolve, checkout, merge."""

from typing import NotRequired, TypedDict

from ccterm.box.protocol import Report
from ccterm.git.types import Ssh


class ResolveRequest(TypedDict):
    """Ask a remote what a run starts from. `remote` is a URL, a path, or a relative mount."""

    remote: str
    branch: str
    base: str | None
    ca: NotRequired[str | None]
    """Certificates of the remote's authority as PEM text, or None."""
    ssh: NotRequired[Ssh | None]
    safe: NotRequired[bool]
    """Whether the user told git that the repository, of another user on this machine, is safe."""


class ResolveReport(Report):
    """reason: auth, network, not_found, no_base, name (the branch's name collides with another's), protocol, git, io."""

    base: NotRequired[str | None]
    """Sha that the run starts from; None = the repository is empty."""
    ref: NotRequired[str | None]
    """Full name of the ref that `base` was read from; None when it was given as a sha."""
    tip: NotRequired[str | None]
    """Sha of the branch on the remote; None = it does not exist yet."""
    default_branch: NotRequired[str | None]
    default_tip: NotRequired[str | None]
    """Sha of the default branch; None when it has none."""


class CheckoutRequest(TypedDict):
    """Make a clean bare git directory and a working tree with history at `base`."""

    remote: str
    branch: str
    base: str | None
    ref: str | None
    mirror: str | None
    """Relative path of the mirror kept between runs, or None."""
    clean: str
    tree: str
    default_branch: NotRequired[str | None]
    """The remote's default branch, which the tree gets as a local branch too, as in a clone."""
    default_tip: NotRequired[str | None]
    """Its commit: a mirror without it is brought up to date, and a checkout made before is not used again."""
    given: NotRequired[bool]
    """The host made `clean` already: only the tree is made, and `remote` is not contacted."""
    include: NotRequired[str | None]
    """Relative directory whose files are copied into the tree but enter no commit, or None."""
    depth: NotRequired[int | None]
    filter: NotRequired[str | None]
    submodules: NotRequired[bool]
    submodule_paths: NotRequired[list[str]]
    """Other repositories on the host that are fetched with the credential: paths, or DIRECTORY/*."""
    lfs: NotRequired[bool]
    ca: NotRequired[str | None]
    ssh: NotRequired[Ssh | None]
    safe: NotRequired[bool]


class CheckoutReport(Report):
    """reason: auth, network, not_found, moved, disk, submodule, lfs, protocol, git, io."""

    notes: NotRequired[list[str]]
    fetched: NotRequired[bool]
    given: NotRequired[bool]
    """The tree was made from a clean directory of the host's."""


class MergeRequest(TypedDict):
    """Bring kept work onto the commit that a tree was checked out from."""

    tree: str
    clean: str
    tip: str | None
    """What the tree was checked out from; None = the repository is empty."""
    bundle: NotRequired[str]
    """Relative bundle with the kept work."""
    commit: NotRequired[str]
    """The kept work."""
    base: NotRequired[str | None]
    """What the kept work builds on; None = nothing."""
    merged: NotRequired[str]
    """In place of these: the tree that came of it, which the clean git directory holds."""


class MergeReport(Report):
    """reason: merge (detail names the paths), base, git, disk, io."""
