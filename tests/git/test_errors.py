"""What git prints when it fails, as people read it."""

import pytest

from ccterm.git.errors import detail_of, fault_of

NO_TERMINAL = "fatal: could not read Username for 'https://h.example': terminal prompts disabled\n"


@pytest.mark.parametrize("stderr", [NO_TERMINAL, f"error: unable to read askpass response from 'false'\n{NO_TERMINAL}"])
def test_a_missing_login_is_told_without_git_s_own_machinery(stderr: str) -> None:
    assert detail_of(stderr) == "https://h.example asks for a login"
    assert fault_of(stderr, "").reason == "auth"
