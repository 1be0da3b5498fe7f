"""Every recorded run of the real CLI is read without a fault and judged as it ended."""

import itertools
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from ccterm.agents.json_values import items, mapping
from ccterm.agents.verdict import judge
from ccterm.causes import Cause
from ccterm.events import Said, Spent, Typing
from tests.agents.reading import outcome, read, report
from tests.captures.recorded import Capture, captures, samples

FAILED = {
    (Cause.AUTH, "authentication_failed"): """
        c_401_full c_403 d_401_expired_oauth d_401_oauth d_401_r0 d_401_revoked_oauth d_nokey h_file_401_expired h_file_401_revoked
        h_file_expired_invalid_grant h_file_garbage h_file_missing h_file_unreadable p_configdir_file_in_home p_fd p_file_bare
        p_file_noscope p_oauthenv_bare t_auth401 z_fp_401""",
    (Cause.USAGE_LIMIT, "five_hour"): "d_usage_limit_noretry_oauth d_usage_limit_oauth old197_limit r_limit t_usage_limit z_fp_usage_limit",
    (Cause.USAGE_LIMIT, "seven_day"): "d_usage_limit7_oauth",
    (Cause.RATE_LIMITED, "rate_limit"): """
        c_429_full c_usage_limit_full d_429_r1 d_429_retry_after_far d_usage_limit_tok o_fallback_429""",
    (Cause.RATE_LIMITED, "overloaded"): "c_529_full d_529_r1 e_stream_error_r1 old197_529 t_stream_error z_fp_529",
    (Cause.BUDGET, "billing_error"): "c_400_credit old197_credit t_credit",
    (Cause.BUDGET, "error_max_budget_usd"): "o_budget o_budget_tiny_text",
    (Cause.BUDGET, "error_max_turns"): "o_max_turns_2 old197_maxturns",
    (Cause.AGENT, "invalid_request"): "c_400_too_long c_413 i_big",
    (Cause.AGENT, "model_not_found"): "c_404_model",
    (Cause.AGENT, "server_error"): "c_500_full d_500_r1 v_hang_api_timeout",
    (Cause.AGENT, "max_output_tokens"): "c_max_tokens",
    (Cause.AGENT, "refusal"): "c_refusal",
    (Cause.AGENT, "connection_failed"): """
        c_reset_full d_reset_r1 e_drop_partial_r1 e_drop_r1 e_drop_tool_r1 t_drop t_reset w_proj_env""",
    (Cause.AGENT, "http_400"): "c_400 t_nosuch y_evil_base y_evil_local",
    (Cause.AGENT, "unknown"): "c_notjson",
    (Cause.AGENT, "error_during_execution"): """
        f_sigint_bash f_sigint_hang f_sigint_retry f_sigint_stream i_sigint old197_sigint r_resume_garbage r_resume_unknown v_startfail_root""",
    (Cause.AGENT, "no_result"): """
        c_401 c_401_expired c_401_revoked d_401_apikey f_sighup_bash f_sigkill_bash f_sigquit_bash f_sigterm_bash f_sigterm_nohup
        f_sigterm_retry f_sigterm_stream f_sigterm_twice g_root_mode_bypass g_root_settings_bypass g_root_skip g_root_skip_is_sandbox_0
        i_garbage i_no_stream_out i_nothing o_budget_bad o_mcp_nofile o_mcp_strict_badjson o_schema_bad o_settings_bad old197_root
        r_killed r_killed9 r_sid_again r_sid_garbage s_bad_flag s_dash_arg s_dash_single s_empty_prompt s_empty_stdin
        s_json_verbose s_no_prompt_devnull s_no_verbose s_open_stdin_noarg s_stdin_big_12m s_text s_text_err v_startfail""",
}
EXPECTED = {name: verdict for verdict, names in FAILED.items() for name in names.split()}
TYPED = sorted(name for name, capture in captures().items() if '"text_delta"' in capture.stdout)


@pytest.mark.parametrize("name", sorted(captures()))
def test_every_run_is_judged_as_it_ended(name: str) -> None:
    told = outcome(captures()[name])
    assert (told.cause, told.reason) == EXPECTED.get(name, (None, ""))


def test_the_table_names_recorded_runs_only() -> None:
    assert set(EXPECTED) <= set(captures())


def test_no_type_of_the_recorded_versions_is_unknown() -> None:
    unknown = {name: dict(read(capture.objects)[0].unknown) for name, capture in captures().items()}
    assert not {name: types for name, types in unknown.items() if types}


def test_a_sample_of_each_type_is_known() -> None:
    parser, events = read(samples())
    assert not parser.unknown
    assert {"said", "typing", "thought", "tool_called", "tool_returned", "notice", "limited", "retrying", "spent"} == {
        e.kind for e in events
    }


@pytest.mark.parametrize("name", TYPED)
def test_half_typed_text_is_replaced_by_the_whole(name: str) -> None:
    _, events = read(captures()[name].objects)
    shown = [event for event in events if isinstance(event, Said | Typing)]
    assert isinstance(shown[-1], Said)
    for typing, following in itertools.pairwise(shown):
        if isinstance(typing, Typing) and isinstance(following, Said):
            assert following.text.startswith(typing.text)


@pytest.mark.parametrize("name", TYPED)
def test_each_text_is_said_once_though_it_was_typed_before(name: str) -> None:
    _, events = read(captures()[name].objects)
    said = [event.text for event in events if isinstance(event, Said)]
    blocks = [
        block["text"]
        for line in captures()[name].objects
        if line.get("type") == "assistant" and not line.get("is_api_error_message")
        for block in _blocks(line)
        if block.get("type") == "text"
    ]
    assert said == blocks


def _blocks(line: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    return [mapping(block) for block in items(mapping(line["message"])["content"])]


def test_abandoned_text_is_withdrawn() -> None:
    _, events = read(captures()["f_drop_x1_partial_slow"].objects)
    texts = [event.text for event in events if isinstance(event, Typing | Said)]
    assert texts == [
        "This answer is going", "This answer is going to be cut off somew", "", "Recovered after a dr", "Recovered after a drop.", "Recovered after a drop.",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["f_sigint_bash", "f_sigterm_bash", "f_sigkill_bash", "i_sigint", "old197_sigterm"])
@pytest.mark.parametrize(
    ("stopped_by", "cause"), [("asked", None), ("now", None), ("timeout", Cause.TIMEOUT), ("stalled", Cause.STALLED), ("host", Cause.LOST)]
)
def test_how_it_was_stopped_decides_whatever_the_agent_said(name: str, stopped_by: str, cause: Cause | None) -> None:
    told = outcome(captures()[name], stopped_by)
    assert told.cause is cause
    assert told.cancelled is (cause is None)


@pytest.mark.parametrize("name", ["a_tools", "e_long", "i_two_serial", "old197_tools", "i_followup_running"])
def test_a_run_cut_before_its_result_failed_though_the_exit_was_0(name: str) -> None:
    whole = captures()[name].stdout
    result = whole.rindex('"type":"result"')
    cut = Capture(whole[: result + 4], 0, "")
    parser, _ = read(cut.objects)
    told = judge(parser, report(0))
    assert (told.cause, told.reason) == (Cause.AGENT, "no_result")


def test_costs_of_two_turns_are_counted_once() -> None:
    parser, events = read(captures()["i_two_serial"].objects)
    costs = [event.cost_usd for event in events if isinstance(event, Spent)]
    assert list(dict.fromkeys(costs)) == pytest.approx([0.0, 0.0028, 0.0056])
    assert (parser.spent.input, parser.spent.output, parser.spent.turns) == (2400, 80, 2)


def test_a_reset_time_is_reported() -> None:
    assert outcome(captures()["d_usage_limit_oauth"]).summary.endswith("[resets 2026-11-23 12:02 UTC]")


def test_a_start_up_error_shows_what_the_program_printed() -> None:
    assert "unknown option '--no-such-flag'" in outcome(captures()["s_bad_flag"]).summary
