"""Which files of a working copy reach its agent and come back: all of them to the byte, ignored ones only where the user said so."""

from pathlib import Path

import pytest

from ccterm.events import Notice
from ccterm.service.protocol import Service
from ccterm.settings import Trust, trust_path
from tests.pipeline.copies import ended, for_copy
from tests.support.core import script
from tests.support.git import commit_files
from tests.workspace.trees import digest


async def test_raw_bytes_survive_the_round_trip_whatever_attributes_say(service: Service, copy: Path) -> None:
    commit_files(copy, {".gitattributes": "*.txt text eol=crlf\n*.id ident\n"})
    (copy / "mixed.txt").write_bytes(b"one\r\ntwo\n")
    (copy / "x.id").write_bytes(b"$Id$\n")
    before = digest(copy)
    task = script({"bash": "printf 'three\\r\\n' >> mixed.txt; printf 'four\\n' > new.txt"}, {"say": "ok"})
    run = await ended(service, for_copy(copy, task=task, yes=True))
    assert (copy / "mixed.txt").read_bytes() == b"one\r\ntwo\nthree\r\n", run.summary
    assert (copy / "new.txt").read_bytes() == b"four\n"
    changed = {path for path in digest(copy) if before.get(path) != digest(copy)[path]}
    assert changed == {b"mixed.txt", b"new.txt"}


async def test_what_the_user_ignores_is_left_out_and_reported(service: Service, copy: Path) -> None:
    task = script({"write": ".gitignore", "text": ""}, {"write": "ignored/x", "text": "x\n"}, {"write": "y", "text": "y\n"})
    run = await ended(service, for_copy(copy, task=task, yes=True))
    assert run.synced is not None, run.summary
    assert not (copy / "ignored/x").exists()
    assert (copy / "y").exists()
    assert run.verdict is not None
    assert [(finding.rule, finding.paths) for finding in run.verdict.findings] == [("ignored", ("ignored/x",))]


async def test_included_files_are_available_masked_and_never_brought_back(service: Service, copy: Path, state_dir: Path) -> None:
    (copy / ".env").write_text("API_TOKEN=hush-hush-hush-1234\n")
    commit_files(copy, {".worktreeinclude": ".env\n"})
    trust_path(copy, Trust(state_dir))
    task = script({"bash": "cat .env; echo MORE=1 >> .env"}, {"say": "ok"})
    run = await ended(service, for_copy(copy, task=task, yes=True))
    told = [event.model_dump_json() async for event in service.follow(run.id)]
    assert "API_TOKEN=[masked:API_TOKEN]" in "".join(told)
    assert "hush-hush" not in "".join(told)
    assert (run.reason, run.synced) == ("nothing_to_push", None)
    assert (copy / ".env").read_text() == "API_TOKEN=hush-hush-hush-1234\n"


@pytest.mark.parametrize("files", [{".worktreeinclude": "*\n"}, {".ccterm.toml": 'include = ["*"]\n'}], ids=["worktreeinclude", "toml"])
async def test_no_ignored_file_is_handed_out_by_what_the_user_has_not_read(service: Service, copy: Path, files: dict[str, str]) -> None:
    commit_files(copy, {".gitignore": ".env\n*.pem\n"})
    for name in (".env", "key.pem"):
        (copy / name).write_text("PASSWORD=secret\n")
    commit_files(copy, files)
    run = await ended(service, for_copy(copy, task=script({"bash": "ls -A > seen.txt"}), yes=True))
    seen = (copy / "seen.txt").read_text().split()
    assert next(iter(files)) in seen
    assert not {".env", "key.pem"} & set(seen)
    notices = [event.text async for event in service.follow(run.id) if isinstance(event, Notice)]
    assert [text for text in notices if f"run ccterm trust {copy}" in text and next(iter(files)) in text]


async def test_trust_to_hand_files_out_ends_with_a_change(service: Service, copy: Path, state_dir: Path) -> None:
    commit_files(copy, {".gitignore": ".env\n*.pem\n", ".worktreeinclude": "# keys stay\n*.pem  \n!key.pem\n"})
    for name in (".env", "key.pem", "cert.pem"):
        (copy / name).write_text("x\n")
    trust_path(copy, Trust(state_dir))
    await ended(service, for_copy(copy, task=script({"bash": "ls -A > seen.txt"}), yes=True))
    assert {".env", "key.pem", "cert.pem"} & set((copy / "seen.txt").read_text().split()) == {"cert.pem"}
    (copy / ".worktreeinclude").write_text("*\n")
    await ended(service, for_copy(copy, task=script({"bash": "ls -A > seen.txt"}), yes=True))
    assert not {".env", "key.pem", "cert.pem"} & set((copy / "seen.txt").read_text().split())
