"""The real CLI through the gateway, in both ways."""

import pytest

from tests.gateway.boxes import TOKEN, Boxes
from tests.servers.model_script import bash, say, use

pytestmark = pytest.mark.claude


async def test_way_b_sends_the_login_in_place_of_the_pass(claude_boxes: Boxes) -> None:
    ended = await claude_boxes.run(use(bash("echo made-by-tool")), say("All done."))
    assert (ended.code, ended.result["result"]) == (0, "All done.")
    assert {call.headers["authorization"] for call in claude_boxes.api.calls} == {f"Bearer {TOKEN}"}
    assert any("made-by-tool" in result for result in claude_boxes.api.calls[-1].tool_results)
    assert "WebFetch" in str(ended.lines[0]["tools"])


async def test_way_a_sends_the_login_in_place_of_the_pass(own_base: Boxes) -> None:
    ended = await own_base.run(use(bash("echo made-by-tool")), say("All done."))
    assert (ended.code, ended.result["result"]) == (0, "All done.")
    assert {call.headers["authorization"] for call in own_base.api.calls} == {f"Bearer {TOKEN}"}
