"""A patch as files and numbered lines."""

from ccterm.tui.patch import PatchLine, parse_patch, side_by_side
from tests.tui.run_events import PATCH


def test_files_are_named_and_counted() -> None:
    files = parse_patch(PATCH)
    assert [(file.path, file.action, file.added, file.removed) for file in files] == [
        ("shop/login.py", "modified", 2, 1),
        ("shop/limits.py", "added", 2, 0),
    ]


def test_lines_have_old_and_new_numbers() -> None:
    lines = parse_patch(PATCH)[0].lines
    assert lines[:4] == [
        PatchLine("hunk", "def login(name: str)"),
        PatchLine("same", "import time", 1, 1),
        PatchLine("removed", "LIMIT = 3", 2, None),
        PatchLine("added", "LIMIT = 5", None, 2),
    ]


def test_removed_lines_are_beside_their_replacement() -> None:
    pairs = [(left and left.text, right and right.text) for left, right in side_by_side(parse_patch(PATCH)[0].lines)]
    assert pairs[1:4] == [("import time", "import time"), ("LIMIT = 3", "LIMIT = 5"), (None, "SECONDS = 60.0")]


def test_deletions_renames_modes_and_binaries_are_recognised() -> None:
    patch = b"""diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/old b/new
similarity index 100%
rename from old
rename to new
diff --git a/tool b/tool
old mode 100644
new mode 100755
diff --git a/pic b/pic
Binary files a/pic and b/pic differ
"""
    files = parse_patch(patch)
    assert [(file.path, file.action) for file in files] == [
        ("gone", "deleted"),
        ("new", "renamed from old"),
        ("tool", "modified"),
        ("pic", "modified"),
    ]
    assert [line.text for line in files[2].lines + files[3].lines] == ["old mode 100644", "new mode 100755", "binary"]


def test_a_line_that_looks_like_a_header_is_text_inside_a_hunk() -> None:
    patch = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- was a heading\n+++ is a heading\n same\n"
    assert [(line.kind, line.text) for line in parse_patch(patch)[0].lines[1:]] == [
        ("removed", "-- was a heading"),
        ("added", "++ is a heading"),
        ("same", "same"),
    ]


def test_an_empty_patch_has_no_files() -> None:
    assert parse_patch(b"") == []
