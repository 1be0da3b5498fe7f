"""What an organisation allows: the API's own answer, else its last one, and never one that ccterm made up."""

import time
from pathlib import Path

import pytest

from ccterm.gateway.client import RunPass
from tests.gateway.boxes import TOKEN, Boxes, new_run
from tests.gateway.raw import RawAnswer, RawBox, get
from tests.servers.messages_api import Document
from tests.servers.messages_wire import Json

SETTINGS, LIMITS = "/api/claude_code/settings", "/api/claude_code/policy_limits"
RESTRICTED: Json = {"restrictions": {"allow_remote_sessions": {"allowed": False}}}


@pytest.fixture
async def given(boxes: Boxes) -> RunPass:
    """The pass of a run."""
    return await boxes.admit()


async def ask(given: RunPass, path: str) -> RawAnswer:
    """Ask for a document."""
    async with RawBox.to(given, tunnel=True) as box:
        return await box.ask(get(path.encode(), given), b"GET")


async def test_the_api_s_answer_is_passed_on(boxes: Boxes, given: RunPass) -> None:
    boxes.api.documents[LIMITS] = Document(RESTRICTED)
    answer = await ask(given, LIMITS)
    assert (answer.status, answer.body) == (200, b'{"restrictions": {"allow_remote_sessions": {"allowed": false}}}')
    assert (await ask(given, SETTINGS)).status == 404
    assert {headers["authorization"] for _, headers in boxes.api.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.first_is_fast
@pytest.mark.parametrize("status", [500, 429, 0, 401, 403])
async def test_the_last_answer_is_served_when_the_api_fails(boxes: Boxes, status: int) -> None:
    run = new_run()
    given = await boxes.admit(run)
    boxes.api.documents[LIMITS] = Document(RESTRICTED)
    before = await ask(given, LIMITS)
    await boxes.gateway.dismiss(run)
    boxes.api.documents[LIMITS] = Document({"error": {}}, status)
    assert (await ask(await boxes.admit(), LIMITS))[::2] == before[::2]


@pytest.mark.first_is_fast
@pytest.mark.parametrize("status", [500, 429, 0])
async def test_without_an_answer_there_is_no_document(boxes: Boxes, given: RunPass, status: int) -> None:
    boxes.api.documents[LIMITS] = Document({"error": {}}, status)
    assert (await ask(given, LIMITS)).status == 404
    assert len(boxes.api.asked) == 3
    assert boxes.heard.refusals == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize("status", [401, 403])
async def test_the_api_s_refusal_of_this_login_is_passed_on_and_not_held(boxes: Boxes, given: RunPass, status: int) -> None:
    boxes.api.documents[LIMITS] = Document({"error": {}}, status)
    assert (await ask(given, LIMITS)).status == status
    assert boxes.heard.refusals == []


async def test_what_a_box_asks_with_a_query_is_not_what_others_get(boxes: Boxes, given: RunPass) -> None:
    boxes.api.documents[LIMITS] = Document({"odd": True})
    assert (await ask(given, f"{LIMITS}?odd")).status == 200
    boxes.api.documents[LIMITS] = Document({"error": {}}, 500)
    assert (await ask(await boxes.admit(), LIMITS)).status == 404


@pytest.mark.claude
@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 0])
async def test_the_cli_starts_at_once_although_the_api_fails(boxes: Boxes, claude_bin: Path, status: int) -> None:
    async def seconds() -> float:
        begin = time.monotonic()
        assert (await boxes.with_cli(claude_bin).run()).code == 0
        return time.monotonic() - begin

    usual = await seconds()
    for path in (LIMITS, SETTINGS):
        boxes.api.documents[path] = Document({"error": {}}, status)
    assert await seconds() < 2 * usual + 10  # 18 seconds more when it is told of the failure
