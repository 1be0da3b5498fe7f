"""A patch as files and numbered lines."""

import re
import signal

import pytest

from ccterm.tui.code import Lexers, time_limit
from ccterm.tui.patch import PatchLine, parse_patch, side_by_side
from ccterm.tui.patch.decorate import changed_words
from ccterm.tui.patch.layout import Layout, PatchShape, Place
from ccterm.tui.patch.parse import LARGEST, LONGEST
from tests.support.waiting import until
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
    lines = parse_patch(PATCH)[0].lines
    pairs = [tuple(None if index is None else lines[index].text for index in pair) for pair in side_by_side([line.kind for line in lines])]
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
    assert [line.text for line in [*files[2].lines, *files[3].lines]] == ["old mode 100644", "new mode 100755", "binary"]


def test_a_line_that_looks_like_a_header_is_text_inside_a_hunk() -> None:
    patch = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- was a heading\n+++ is a heading\n same\n"
    assert [(line.kind, line.text) for line in parse_patch(patch)[0].lines[1:]] == [
        ("removed", "-- was a heading"),
        ("added", "++ is a heading"),
        ("same", "same"),
    ]


def test_an_empty_patch_has_no_files() -> None:
    assert parse_patch(b"") == []


def test_paths_are_those_that_git_means() -> None:
    patch = b"""diff --git a/a b/c.py b/a b/c.py
--- a/a b/c.py\t
+++ b/a b/c.py\t
@@ -1 +1 @@
-x
+y
diff --git "a/caf\\303\\251\\033[2J" "b/caf\\303\\251\\033[2J"
new file mode 100644
"""
    assert [file.path for file in parse_patch(patch)] == ["a b/c.py", "café"]


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 5", ["3"], ["5"]),
        ("return a + b", "return a + b + c", [], [" + c"]),
        ("call(one, two)", "call(three, two)", ["one"], ["three"]),
        ("nothing alike", "x = [1, 2]", [], []),
        ("same", "same", [], []),
        ("a " * 400, "b " * 400, [], []),
    ],
)
def test_the_words_that_differ_are_found(before: str, after: str, old: list[str], new: list[str]) -> None:
    gone, come = changed_words(before, after)
    assert [before[i:j] for i, j in gone] == old
    assert [after[i:j] for i, j in come] == new


@pytest.mark.parametrize("two_columns", [False, True])
@pytest.mark.parametrize("wrap", [False, True])
def test_every_row_of_the_screen_has_its_place(two_columns: bool, wrap: bool) -> None:
    files = parse_patch(PATCH.replace(b"LIMIT = 5", "LIMIT = 日本語日本語日本語".encode() + b"x" * 60))
    layout = Layout(files, PatchShape(two_columns=two_columns, width=20, wrap=wrap), {Place(0): 2, Place(0, 2): 1})
    seen = [layout.at(y) for y in range(layout.height)]
    places = list(dict.fromkeys(place for place, _ in seen))
    assert places == [Place(file, row) for file in range(2) for row in range(-1, layout.rows(file))]
    for place in places:
        first, extra = layout.top(place), {Place(0): 2, Place(0, 2): 1}.get(place, 0)
        assert seen[first : first + layout.height_of(place) + extra] == [(place, n) for n in range(layout.height_of(place) + extra)]
    assert [layout.neighbour(places[0], n) for n in range(len(places))] == places
    assert [layout.neighbour(places[-1], -n) for n in range(len(places))] == places[::-1]


async def test_a_text_that_takes_a_lexer_too_long_stays_plain() -> None:
    lexers = Lexers()
    lexers.coloured("x", "a.py")
    await until(lambda: lexers.version)
    assert [piece.style for piece in lexers.coloured("def f(): ...", "a.py")[0]][:1] == ["keyword"]
    with pytest.raises(TimeoutError), time_limit(0.05):
        re.match(r"(a+)+$", "a" * 40 + "b")
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_the_rest_of_a_very_long_line_is_counted() -> None:
    long = b"diff --git a/x b/x\n@@ -0,0 +1 @@\n+" + b"y" * (LONGEST + 5)
    assert parse_patch(long)[0].lines[1].text.endswith(" … 5 more characters")


@pytest.mark.slow
def test_the_rest_of_a_very_long_patch_is_counted() -> None:
    files = parse_patch(b"diff --git a/x b/x\n@@ -0,0 +1 @@\n+" + (b"y" * 99 + b"\n+") * (LARGEST // 100 * 101 // 100))
    assert "cut here" in files[0].lines[-1].text
