"""What the scan found is masked wherever the work is shown: in the same lines, byte span by byte span, and nothing else of a patch changes."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.mask import Masker
from ccterm.workspace.masks import Masks, masked_spans, painted, shown_patch, write_masks

SECRET = "s3cr3t-V4lue/with+signs"
LINES = "first-line-of-it\nsecond-line-of-it\nthird-line-of-it"
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n" * 4 + "-----END PRIVATE KEY-----\n"
MASKER = Masker({"TOKEN": SECRET, "LINES": LINES})
HEAD = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1,9 +1,9 @@\n"


def shown(patch: str) -> str:
    return painted(patch.encode(), masked_spans(MASKER, patch.encode())).decode()


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (f"+key = {SECRET}\n same\n", "+key = [masked:TOKEN]\n same\n"),
        (f"-{SECRET}\n+{SECRET}\n", "-[masked:TOKEN]\n+[masked:TOKEN]\n"),
        (HEAD.format(f"n-{SECRET}"), HEAD.format("n-[masked:TOKEN]")),
        (f"+a{SECRET}b{SECRET}", "+a[masked:TOKEN]b[masked:TOKEN]"),
        (f"+{SECRET}\r\n", "+[masked:TOKEN]\r\n"),
        ("+a sk-ant-api03-" + "x1" * 20 + "\n", "+a [masked:token]\n"),
        ("plain\n", "plain\n"),
        ("", ""),
    ],
)
def test_a_patch_without_its_secrets(patch: str, expected: str) -> None:
    assert shown(patch) == expected


def test_a_secret_of_several_lines_is_found_behind_the_signs() -> None:
    for text in (LINES, KEY):
        patch = HEAD.format("x") + "".join(f"+{line}\n" for line in text.splitlines())
        plain = shown(patch)
        assert not any(line in plain for line in text.splitlines())
        assert [line[:1] for line in plain.splitlines()] == [line[:1] for line in patch.splitlines()]


pieces = st.sampled_from(
    [SECRET, LINES.splitlines()[0], KEY, "\n", "\n+", "\n-", "\n ", "\r\n", "+", "@@ -1 +1 @@\n", "text", "ü", SECRET[:5]]
)


@given(st.lists(pieces, max_size=14).map("".join))
def test_no_secret_is_left_and_the_lines_stay_lines(patch: str) -> None:
    data = patch.encode()
    spans = masked_spans(MASKER, data)
    plain = painted(data, spans)
    assert SECRET.encode() not in plain
    assert plain.count(b"\n") == data.count(b"\n")
    assert all(first.end <= second.begin for first, second in pairwise(spans))
    for before, after in zip(data.split(b"\n"), plain.split(b"\n"), strict=True):
        assert before == after or b"[masked:" in after


@pytest.mark.parametrize("before", [4 << 20, (4 << 20) - 10, (4 << 20) - 100])
def test_a_secret_between_two_windows_is_found(before: int) -> None:
    patch = HEAD.format("x") + "+" + "x" * 98 + "\n"
    patch += ("+" + "x" * 98 + "\n") * ((before - len(patch)) // 100)
    patch += f"+{'x' * (before - len(patch) - 1)}{SECRET}\n" + "".join(f"+{line}\n" for line in LINES.splitlines())
    assert shown(patch).endswith("[masked:TOKEN]\n" + "+[masked:LINES]\n" * 3)


def test_what_was_found_is_kept_beside_the_work_which_stays_as_it_is(tmp_path: Path) -> None:
    patch = tmp_path / "work.patch"
    patch.write_text(f"+{SECRET}\n")
    write_masks(tmp_path, MASKER, [f"name-{SECRET}", "README.md"])
    assert shown_patch(patch) == b"+[masked:TOKEN]\n"
    assert patch.read_text() == f"+{SECRET}\n"
    masks = Masks.read(tmp_path)
    assert masks is not None
    assert masks.text(f"adds name-{SECRET} and README.md") == "adds name-[masked:TOKEN] and README.md"


def test_where_nobody_looked_only_shapes_are_known(tmp_path: Path) -> None:
    patch = tmp_path / "work.patch"
    patch.write_text("+ghp_" + "a1" * 18 + "\n")
    assert shown_patch(patch) == b"+[masked:token]\n"
    (tmp_path / "masks.json").write_text("{damaged")
    assert shown_patch(patch) == b"+[masked:token]\n"
