"""Makes the bundles that carry an agent's work, and proves that git can read them."""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence

from ccterm.git.git import Git, hash_name, scratch
from ccterm.git.objects import borrow_objects


def write_bundle(git: Git, to: str, refs: Sequence[str], known: Collection[str]) -> None:
    """Write a bundle of everything that `refs` reach and `known` does not. Raises GitError.

    git: a git directory of ours that holds all of it. refs: full names of refs in it, which the bundle gets under the same names; at least
    one must reach something new. known: commits that whoever reads the bundle has already; with none it is complete in itself.
    """
    git.run("bundle", "create", "--quiet", os.path.abspath(to), *refs, *(f"^{sha}" for sha in known))  # not --stdin: git before 2.31


def write_packed(to: str, pack: bytes, refs: Mapping[str, str], known: Collection[str]) -> None:
    """Write a bundle of a pack that is there already. refs: full names and what they point to. Raises OSError."""
    [name] = {hash_name(sha) for sha in refs.values()}
    head = ["# v2 git bundle"] if name == "sha1" else ["# v3 git bundle", f"@object-format={name}"]
    head += [f"-{sha}" for sha in known] + [f"{sha} {ref}" for ref, sha in refs.items()]
    with open(to, "wb") as file:
        file.write("".join(f"{line}\n" for line in [*head, ""]).encode())
        file.write(pack)


def check_bundle(bundle: str, objects: Git, like: str) -> None:
    """Read a bundle as whoever fetches from it will. Raises GitError when git cannot.

    It is read into an empty repository that can look up what `objects` holds. git names each object by its content on the way in, and
    then follows every ref to its last blob. like: any object name of the repository.
    """
    assert objects.directory
    directory = os.path.abspath(os.path.join(objects.directory, f"check-{os.getpid()}"))
    try:
        empty = scratch(directory, like)
        borrow_objects(empty, objects.directory)
        reading = Git(empty.directory, env={"GIT_ALLOW_PROTOCOL": "file"})
        reading.run("fetch", "--quiet", "--no-tags", "--", os.path.abspath(bundle), "+refs/*:refs/*")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
