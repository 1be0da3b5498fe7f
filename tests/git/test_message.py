"""An agent's words in a commit message give no orders: to CI systems, to trackers, as trailers; honest words stay as they are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.git.message import defused, without_trailers
from ccterm.models import RunId
from ccterm.pipeline.step_specs import commit_body

ORDERS = re.compile(
    r"\[\s*(skip|no)[ -](ci|actions|travis|netlify|azp)\s*\]|\[\s*(ci|actions|travis|azurepipelines)[ -]skip\s*\]|\*\*\*NO_CI\*\*\*|--skip-ci"
    r"|skip-checks:|(clos|fix|resolv|implement)\w*:?\s+([\w./-]*#\d+|GH-\d|https?://\S+/issues/\d)",
    re.IGNORECASE,
)
PIECES = [
    "[",
    "]",
    "skip",
    "no",
    "ci",
    "-",
    " ",
    "***",
    "*",
    "NO_CI",
    "--",
    "Fixes",
    "closes",
    ":",
    "#",
    "1",
    "GH-",
    "a/b",
    "x",
    "skip-checks",
    "\n",
    "[skip ci]",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add parser [skip ci]", "Add parser (skip ci)"),
        ("[CI SKIP] x [[no ci]]", "(CI SKIP) x ((no ci))"),
        ("[skip-ci] [CF-Pages-Skip] [skip azp]", "(skip-ci) (CF-Pages-Skip) (skip azp)"),
        ("x ***NO_CI***", "x NO_CI"),
        ("x --skip-ci", "x skip-ci"),
        ("Fixes #1, #2 and a/b#3", "Fixes no. 1, no. 2 and a/b no. 3"),
        ("resolve: GH-7", "resolve: GH 7"),
        ("Closes https://example.org/a/b/issues/3", "Closes example.org/a/b/issues/3"),
        ("Fixed AB#12", "Fixed AB no. 12"),
        ("ABC-12 #close #time 2h", "ABC-12 close time 2h"),
        ("See #12 for details", "See #12 for details"),
        ("Use C#, arrays [0] and list[str]", "Use C#, arrays [0] and list[str]"),
        ("Close the file; see https://example.org/issues", "Close the file; see https://example.org/issues"),
        ("Mention [noqa] and skip the rest", "Mention [noqa] and skip the rest"),
    ],
)
def test_orders_become_words(text: str, expected: str) -> None:
    assert defused(text) == expected


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_order_is_left_however_it_is_put_together(text: str) -> None:
    plain = defused(text)
    assert not ORDERS.search(plain), plain
    assert defused(plain) == plain


@pytest.mark.parametrize("line", ["Signed-off-by: boss", "Co-authored-by:x", "BREAKING CHANGE: all", "/merge", "Reviewed-by : me"])
def test_lines_that_look_like_trailers_or_commands_are_text(line: str) -> None:
    assert without_trailers(f"Done.\n\n{line}") == f"Done.\n\n  {line}"


def test_only_our_trailers_count_in_a_message() -> None:
    body = commit_body("Done [skip ci].\n\nSigned-off-by: boss", run=RunId("01TEST"), model="x\nSigned-off-by: boss")
    assert body == "Done (skip ci).\n\n  Signed-off-by: boss\n\nCcterm-Run: 01TEST\nCcterm-Model: x Signed-off-by: boss"
