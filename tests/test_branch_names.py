"""Names for branches are readable in every script, and always free."""

from datetime import date

import pytest

from ccterm.draft import draft
from ccterm.errors import UsageError
from ccterm.remotes import check_branch
from ccterm.remotes.branch_names import branch_for, words_of

DAY = date(2026, 11, 29)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("Add rate limiting to the login endpoint, with tests", "add-rate-limiting-login-endpoint"),
        ("Fix it", "fix"),
        ("the", "the"),
        ("\n  Fix v1.2\nand more", "fix-v1-2"),
        ("A" * 200, "a" * 36),
        ("Größe ändern", "grosse-andern"),
        ("de\u0301ja\u0300 vu", "deja-vu"),
        ("Việt Nam", "viet-nam"),
        ("Добавь щётку в форму", "dobav-shchetku-v-formu"),
        ("漢字を直す", "han-zio-zhisu"),
        ("हिन्दी पाठ", "hindi-path"),
        ("🚀 ship the thing", "ship-thing"),
        ("🚀", ""),
        ("a\x00b\u202e", "b"),
    ],
)
def test_the_words_of_a_task_are_a_few_significant_ones_in_ascii(prompt: str, words: str) -> None:
    assert words_of(prompt) == words
    assert not words or check_branch(f"agent/{words}")


@pytest.mark.parametrize(
    ("prompt", "taken", "name", "wanted"),
    [
        ("One", (), "agent/one", ""),
        ("One", ("agent/one", "agent/one-2"), "agent/one-3", "agent/one"),
        ("🚀", (), "agent/2026-11-29-1", ""),
        ("🚀", ("agent/2026-11-29-1",), "agent/2026-11-29-2", ""),
    ],
)
def test_a_name_is_free_and_says_what_was_wanted(prompt: str, taken: tuple[str, ...], name: str, wanted: str) -> None:
    assert branch_for("agent/…", prompt, DAY, taken.__contains__) == (name, wanted)


def test_an_ellipsis_may_be_typed_as_three_dots() -> None:
    assert draft({"task": "x", "branch": "agent/..."}).branch == "agent/…"
    with pytest.raises(UsageError, match="single dot"):
        draft({"task": "x", "branch": "agent/..x"})
