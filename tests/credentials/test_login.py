"""The one parser of login documents: strict, and never showing a value."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ccterm.credentials.login import Login, parse_login
from tests.credentials.login_documents import ACCESS, MALFORMED, REFRESH, SCOPES, UNUSABLE, login, soon

NOW = datetime.now(UTC)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_document_is_no_login(name: str) -> None:
    stored = parse_login(MALFORMED[name], "FILE")
    assert stored.problem == "is malformed"
    assert ACCESS[12:] not in f"{stored!r}{stored}"


def test_the_battery_is_as_long_as_promised() -> None:
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_login_says_why(name: str) -> None:
    data, words = UNUSABLE[name]
    assert words in parse_login(data, "FILE").trouble(NOW)


@pytest.mark.parametrize("unit", [1, 1000], ids=["milliseconds", "seconds"])
def test_a_login_is_read_whatever_its_unit_of_time(unit: int) -> None:
    at = soon() // 1000 * 1000
    stored = parse_login(login(expiresAt=at // unit), "FILE")
    assert (stored.trouble(NOW), stored.expires_ms, stored.scopes, stored.subscription) == ("", at, tuple(SCOPES), "max")
    assert stored.renewable


def test_the_access_token_alone_is_enough_and_cannot_be_renewed() -> None:
    stored = parse_login(login(refreshToken=None, expiresAt=None, subscriptionType=None, later={"x": [1]}), "FILE")
    assert (stored.trouble(NOW), stored.expires_at, stored.renewable) == ("", None, False)


def test_both_tokens_are_secrets_and_neither_is_shown() -> None:
    stored = parse_login(login(), "FILE")
    assert [secret.get_secret_value() for secret in stored.secrets] == [ACCESS, REFRESH]
    assert "AAAA" not in f"{stored!r}{stored}"
    assert "BBBB" not in f"{stored!r}{stored}"


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: login(accessToken=text)))
def test_any_bytes_are_a_token_that_fits_a_header_or_a_problem(data: bytes) -> None:
    stored = parse_login(data, "FILE")
    value = stored.token.get_secret_value() if stored.token else ""
    assert stored.problem or (value.isascii() and value.isprintable() and " " not in value)


def test_a_login_shows_its_kind_and_end_and_nothing_else() -> None:
    shown = Login(kind="setup-token", source="the keyring", value=SecretStr(ACCESS), expires_at=datetime(2031, 1, 2, tzinfo=UTC))
    assert repr(shown) == str(shown) == "<credential kind=setup-token exp=2031-01-02T00:00:00+00:00>"
    assert shown.remaining(datetime(2031, 1, 1, tzinfo=UTC)) == timedelta(days=1)
    assert (shown.variable, Login(kind="api-key", source="x").variable) == ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY")
