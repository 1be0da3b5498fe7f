"""Every question of an agent gets exactly one answer, or is said to be withdrawn; what lasts for a run never reaches the repository's settings."""

from collections.abc import Mapping
from typing import Any

import pytest

from ccterm.box.agent.permissions import NOBODY, REFUSED, PermissionRequests
from ccterm.box.permission_rules import in_words, lasting_rules

CURL = {"toolName": "Bash", "ruleContent": "curl *"}
SUGGESTED = {"type": "addRules", "rules": [CURL], "behavior": "allow", "destination": "localSettings"}
REQUEST = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "curl x"}, "permission_suggestions": [SUGGESTED]}


class Agent:
    """What was written to the agent, the notes, and a clock."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.notes: list[dict[str, object]] = []
        self.now = 100.0
        self.permissions = PermissionRequests(self._take, self, seconds=60, clock=lambda: self.now)

    def _take(self, message: Mapping[str, object]) -> None:
        response = message["response"]
        assert isinstance(response, dict)
        assert message["type"] == "control_response"
        self.answers.append({"key": response["request_id"], **response["response"]})

    def note(self, text: str, **fields: object) -> None:
        self.notes.append({"text": text, **fields})

    def asks(self, key: str) -> None:
        self.permissions.hear({"type": "control_request", "request_id": key, "request": REQUEST})

    @property
    def outcomes(self) -> list[tuple[object, object]]:
        return [(note["request"], note["answer"]) for note in self.notes if note["what"] == "answered"]


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_a_yes_is_for_exactly_what_was_asked(agent: Agent) -> None:
    agent.asks("q")
    agent.permissions.allow("q", always=False)
    assert agent.answers == [{"key": "q", "behavior": "allow", "updatedInput": {"command": "curl x"}}]
    assert agent.outcomes == [("q", "allowed")]


def test_a_yes_for_the_run_adds_the_suggested_rules_for_the_session_alone(agent: Agent) -> None:
    agent.asks("q")
    agent.permissions.allow("q", always=True)
    assert agent.answers[0]["updatedPermissions"] == [SUGGESTED | {"destination": "session"}]


@pytest.mark.parametrize(("text", "told"), [("use wget", "use wget"), ("", REFUSED)])
def test_a_no_tells_the_agent_why(agent: Agent, text: str, told: str) -> None:
    agent.asks("q")
    agent.permissions.deny("q", text)
    assert agent.answers == [{"key": "q", "behavior": "deny", "message": told}]
    assert agent.outcomes == [("q", "denied")]


def test_nobody_answers_for_so_long(agent: Agent) -> None:
    agent.asks("q")
    agent.now += 59
    agent.permissions.expire()
    assert agent.permissions.waiting
    agent.now += 1
    agent.permissions.expire()
    assert [(answer["behavior"], answer["message"]) for answer in agent.answers] == [("deny", NOBODY)]
    assert agent.outcomes == [("q", "expired")]


def test_two_questions_are_answered_in_any_order_and_the_agent_waits_until_both_are(agent: Agent) -> None:
    agent.asks("a")
    agent.asks("b")
    agent.permissions.allow("b", always=False)
    assert agent.permissions.waiting
    agent.permissions.deny("a", "")
    assert (agent.outcomes, agent.permissions.waiting) == ([("b", "allowed"), ("a", "denied")], False)


def test_a_second_answer_does_nothing(agent: Agent) -> None:
    agent.asks("q")
    agent.permissions.deny("q", "")
    agent.permissions.allow("q", always=True)
    agent.permissions.allow("never asked", always=True)
    assert len(agent.answers) == 1


def test_a_question_that_the_agent_takes_back_is_withdrawn(agent: Agent) -> None:
    agent.asks("q")
    agent.permissions.hear({"type": "control_cancel_request", "request_id": "q"})
    assert (agent.answers, agent.outcomes) == ([], [("q", "withdrawn")])


def test_open_questions_are_withdrawn_at_the_end(agent: Agent) -> None:
    agent.asks("q")
    agent.permissions.finish()
    assert (agent.answers, agent.outcomes, agent.permissions.waiting) == ([], [("q", "withdrawn")], False)


@pytest.mark.parametrize(
    ("suggestions", "words"),
    [
        ([SUGGESTED], "curl *"),
        ([SUGGESTED, {"type": "addDirectories", "directories": ["/srv"], "destination": "session"}], "curl *, files in /srv"),
        ([{"type": "setMode", "mode": "bypassPermissions", "destination": "session"}], "every call of Bash"),
        ([{"type": "addRules", "behavior": "allow", "rules": []}], "every call of Bash"),
        ([{"type": "addRules", "behavior": "allow", "rules": [7]}], "every call of 7"),
        ("nonsense", "every call of Bash"),
        (None, "every call of Bash"),
    ],
)
def test_what_lasts_is_said_as_it_is_given(suggestions: object, words: str) -> None:
    rules = lasting_rules(REQUEST | {"permission_suggestions": suggestions})
    assert in_words(rules) == words
    assert {rule["destination"] for rule in rules} == {"session"}
