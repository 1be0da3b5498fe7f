"""The real CLI through the gateway, in both ways."""

import asyncio
import os
import signal
import time

import pytest

from tests.gateway.boxes import LOGIN, TOKEN, Boxes, login, new_run
from tests.servers.loopback import Gate
from tests.servers.model_script import Cut, Refuse, Silence, Text, ToolUse, Turn, bash, say, unauthorized, usage_limit, use, window_headers
from tests.support.waiting import until

pytestmark = pytest.mark.claude
BOTH = pytest.mark.parametrize("way", ["B", pytest.param("A", marks=pytest.mark.slow)])


@pytest.fixture
def boxes(way: str, request: pytest.FixtureRequest) -> Boxes:
    """Boxes of the way that the test asks for."""
    found: Boxes = request.getfixturevalue("claude_boxes" if way == "B" else "own_base")
    return found


def logins(boxes: Boxes) -> list[str]:
    """Return the logins of all requests for an answer."""
    return [call.headers["authorization"].removeprefix("Bearer ") for call in boxes.api.calls]


@pytest.mark.parametrize("way", ["A", "B"])
async def test_tools_work_with_the_login_in_place_of_the_pass(boxes: Boxes) -> None:
    ended = await boxes.run(use(bash("echo made-by-tool")), say("All done."))
    assert (ended.code, ended.result["result"]) == (0, "All done.")
    assert set(logins(boxes)) == {TOKEN}
    assert any("made-by-tool" in result for result in boxes.api.calls[-1].tool_results)
    assert "WebFetch" in str(ended.lines[0]["tools"])


@pytest.mark.slow
@BOTH
async def test_sub_agents_use_the_same_pass(boxes: Boxes) -> None:
    task = ToolUse("Agent", {"description": "Look around", "prompt": "Look around, please.", "subagent_type": "general-purpose"})
    ended = await boxes.run(use(task, task), say("One."), say("Two."), say("All done."))
    assert ended.code == 0
    assert len(boxes.api.calls) >= 4
    assert set(logins(boxes)) == {TOKEN}


@pytest.mark.slow
@BOTH
async def test_a_long_answer_arrives_whole(boxes: Boxes) -> None:
    text = "".join(f"{number:07} " for number in range(37_500))
    ended = await boxes.run(say(text))
    assert ended.result["result"] == text


@pytest.mark.slow
@pytest.mark.parametrize("way", ["B"])
async def test_whether_a_page_may_be_read_is_asked_without_a_login(boxes: Boxes) -> None:
    ended = await boxes.run(use(ToolUse("WebFetch", {"url": "https://example.com/", "prompt": "What is it?"})), say("Read."))
    assert ended.code == 0
    [headers] = [headers for path, headers in boxes.api.asked if path.startswith("/api/web/domain_info")]
    assert not {"authorization", "x-api-key"} & headers.keys()
    assert "Unable to verify" not in str(boxes.api.calls[-1].tool_results)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["B"])
async def test_a_page_is_read_through_the_box_and_the_web_is_searched_by_the_api(boxes: Boxes) -> None:
    """In place of the box's proxy there is the gateway alone, which reaches no other host."""
    await boxes.run(use(ToolUse("WebFetch", {"url": "https://example.com/", "prompt": "What is it?"})), say("Read."))
    assert "proxy refused the connection" in str(boxes.api.calls[-1].tool_results)
    await boxes.run(use(ToolUse("WebSearch", {"query": "what is it"})), say("An example."), say("Found."))
    assert b"web_search_20250305" in boxes.api.calls[-2].body
    assert "An example." in str(boxes.api.calls[-1].tool_results)


@pytest.mark.slow
@BOTH
async def test_rate_limit_events_say_what_they_say_without_it(boxes: Boxes) -> None:
    resets_at = int(time.time()) + 3600
    run = new_run()
    allowed = Turn((Text("Fine."), bash("true")), headers=window_headers(resets_at, "allowed", 0.5))
    ended = await boxes.run(allowed, usage_limit(resets_at), run=run)
    assert [info["status"] for line in ended.of("rate_limit_event") if isinstance(info := line["rate_limit_info"], dict)] == [
        "allowed",
        "rejected",
    ]
    assert ended.code == 1
    await until(lambda: [found.status for found in boxes.heard.windows] == ["allowed", "rejected"])
    assert boxes.heard.windows[0].windows["5h"].utilization == 0.5
    await until(lambda: boxes.heard.numbers[run].limited == 1)


@pytest.mark.slow
@BOTH
async def test_a_session_is_resumed_under_another_pass(boxes: Boxes) -> None:
    home = boxes.directory / "resumed"
    first = await boxes.claude_with(await boxes.admit(), say("First."), say("Second."), home=home)
    resume = ("--resume", str(first.result["session_id"]))
    again = await boxes.claude_with(await boxes.admit(), arguments=resume, home=home)
    assert (again.code, again.result["result"]) == (0, "Second.")


@pytest.mark.slow
@BOTH
async def test_sixteen_at_once(boxes: Boxes) -> None:
    ended = await asyncio.gather(*(boxes.run(use(bash(f"echo {number}")), say(f"Run {number}.")) for number in range(16)))
    assert [each.result["result"] for each in ended] == [f"Run {number}." for number in range(16)]


@BOTH
async def test_a_login_is_changed_between_two_turns(boxes: Boxes) -> None:
    gate = Gate()
    given = await boxes.admit()
    running = asyncio.ensure_future(boxes.claude_with(given, use(bash("true")), use(bash("true"), gate=gate), say("Done.")))
    await asyncio.to_thread(gate.reached)
    await boxes.gateway.renew("login", login("TWO"))
    gate.open()
    ended = await running
    assert ended.code == 0
    assert logins(boxes) == [TOKEN, TOKEN, "TWO"]
    assert not ended.of("api_retry")


@pytest.mark.slow
@BOTH
async def test_a_refused_login_holds_sixteen_runs_until_it_is_renewed_once(boxes: Boxes) -> None:
    refused = Refuse(401, "authentication_error", "Invalid bearer token", times=1)
    runs = [asyncio.ensure_future(boxes.run(use(bash("true")), refused, say("Done."))) for _ in range(16)]
    await until(lambda: len(logins(boxes)) == 32, limit=500)
    assert boxes.heard.refusals == ["login"]
    await boxes.gateway.renew("login", login("TWO"))
    ended = await asyncio.gather(*runs)
    assert [each.code for each in ended] == [0] * 16
    assert not any(each.of("api_retry") for each in ended)
    assert boxes.heard.refusals == ["login"]


@pytest.mark.slow
@BOTH
async def test_a_login_that_is_given_up_ends_the_run_as_one_that_was_refused(boxes: Boxes) -> None:
    running = asyncio.ensure_future(boxes.run(unauthorized()))
    await until(lambda: boxes.heard.refusals)
    await boxes.gateway.give_up("login")
    ended = await running
    assert ended.code == 1
    assert ended.result["api_error_status"] == 401


@BOTH
async def test_a_killed_gateway_is_replaced_while_an_answer_streams(boxes: Boxes) -> None:
    gate = Gate()
    running = asyncio.ensure_future(boxes.run(use(bash("true")), Silence(gate, times=1), say("Done after all.")))
    await asyncio.to_thread(gate.reached)
    killed = boxes.gateway.pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    ended = await running
    assert (ended.code, ended.result["result"]) == (0, "Done after all.")
    assert boxes.gateway.pid != killed
    assert set(logins(boxes)) == {TOKEN}


@pytest.mark.slow
@BOTH
async def test_an_answer_that_breaks_off_is_asked_for_again_by_the_cli(boxes: Boxes) -> None:
    started = time.monotonic()
    ended = await boxes.run(Cut("within", times=1), say("Done after all."))
    assert (ended.code, ended.result["result"]) == (0, "Done after all.")
    assert time.monotonic() - started < 60


@BOTH
async def test_a_run_ends_with_the_request_after_its_budget(boxes: Boxes) -> None:
    run = new_run()
    ended = await boxes.run(use(bash("true")), use(bash("true")), say("Never said."), run=run, max_tokens=1500)
    assert ended.code == 1
    assert (ended.result["api_error_status"], ended.of("api_retry")) == (400, [])
    assert "budget of 1500 tokens" in str(ended.result["result"])
    assert len(boxes.api.calls) == 2
    await until(lambda: boxes.heard.spent == [run])
    await until(lambda: boxes.heard.numbers[run].tokens == 2200)


@pytest.mark.slow
@BOTH
async def test_an_api_key_is_sent_in_its_own_header(boxes: Boxes) -> None:
    given = await boxes.gateway.admit(new_run(), "key", LOGIN._replace(header="x-api-key"), base_url=boxes.base_url)
    ended = await boxes.claude_with(given, say("Done."), variable="ANTHROPIC_API_KEY")
    assert ended.code == 0
    [call] = boxes.api.calls
    assert call.headers["x-api-key"] == TOKEN
    assert "authorization" not in call.headers
