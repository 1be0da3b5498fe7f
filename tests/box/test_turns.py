"""What is written to an agent's stdin, and when it is closed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.box.agent.turns import MessageReader, Turns

RESULT = {"type": "result"}
INIT = {"type": "system", "subtype": "init"}


class Agent:
    """The other end of stdin, a clock, and the notes."""

    def __init__(self, *, hold: bool = False) -> None:
        self.open = True
        self.messages: list[dict[str, Any]] = []
        self.notes: list[dict[str, object]] = []
        self.now = 100.0
        self.turns = Turns(self, self, hold=hold, hold_seconds=60, grace_seconds=15, clock=lambda: self.now)

    def write(self, data: bytes) -> None:
        assert self.open
        self.messages.append(json.loads(data))

    def close(self) -> None:
        self.open = False

    def note(self, text: str, **fields: object) -> None:
        self.notes.append({"text": text, **fields})

    def takes_up(self, number: int = -1, state: str = "started") -> None:
        self.turns.hear({"type": "command_lifecycle", "command_uuid": self.messages[number]["uuid"], "state": state})

    def answers(self) -> list[tuple[object, object]]:
        return [(note["text"], note["taken"]) for note in self.notes if note["what"] == "steered"]


def test_the_prompt_is_the_first_user_message() -> None:
    agent = Agent()
    agent.turns.begin("do it\nnow")
    assert agent.messages == [{"type": "user", "message": {"role": "user", "content": "do it\nnow"}}]


def test_a_result_closes_stdin() -> None:
    agent = Agent()
    agent.turns.hear(RESULT)
    assert not agent.open


def test_a_message_that_is_not_taken_up_yet_keeps_stdin_open_for_another_turn() -> None:
    agent = Agent()
    agent.turns.say("also this")
    agent.takes_up(state="queued")
    agent.turns.hear(RESULT)
    assert agent.open
    agent.takes_up()
    agent.turns.hear(INIT)
    agent.turns.hear(RESULT)
    assert (agent.open, agent.answers()) == (False, [("also this", True)])


def test_a_message_taken_up_within_the_turn_needs_no_other_turn() -> None:
    agent = Agent()
    agent.turns.say("also this")
    agent.takes_up()
    agent.turns.hear(RESULT)
    assert (agent.open, agent.answers()) == (False, [("also this", True)])


def test_a_late_message_is_answered_at_once_with_what_to_do() -> None:
    agent = Agent()
    agent.turns.hear(RESULT)
    agent.turns.say("too late")
    assert agent.answers() == [("too late", False)]
    assert "ccterm retry" in str(agent.notes[-1]["detail"])


def test_a_message_that_the_agent_never_took_up_is_answered_at_the_end() -> None:
    agent = Agent()
    agent.turns.say("nobody listens")
    agent.turns.finish()
    agent.turns.finish()
    assert agent.answers() == [("nobody listens", False)]


def test_an_agent_that_is_held_waits_and_takes_the_next_message() -> None:
    agent = Agent(hold=True)
    agent.turns.hear(RESULT)
    assert (agent.open, agent.turns.waiting) == (True, True)
    agent.turns.say("go on")
    assert (agent.turns.waiting, agent.messages[-1]["message"]["content"]) == (False, "go on")


def test_the_beginning_and_the_end_of_waiting_are_reported() -> None:
    agent = Agent(hold=True)
    agent.turns.hear(RESULT)
    agent.turns.release()
    waiting = [note for note in agent.notes if note["what"] == "waiting"]
    assert ["until" in note for note in waiting] == [True, False]


@pytest.mark.parametrize("word", ["release", "end"])
def test_a_waiting_agent_that_is_released_ends(word: str) -> None:
    agent = Agent(hold=True)
    agent.turns.hear(RESULT)
    getattr(agent.turns, word)()
    assert (agent.open, agent.turns.waiting) == (False, False)


def test_waiting_has_a_time_limit() -> None:
    agent = Agent(hold=True)
    agent.turns.hear(RESULT)
    agent.now += 59
    assert (agent.turns.overdue(), agent.open) == (False, True)
    agent.now += 2
    assert (agent.turns.overdue(), agent.open) == (False, False)


def test_a_hold_may_come_at_any_time_before_the_result() -> None:
    agent = Agent()
    agent.turns.hold()
    agent.turns.hear(RESULT)
    assert agent.turns.waiting


def test_a_release_before_the_result_lets_the_agent_end_with_its_turn() -> None:
    agent = Agent(hold=True)
    agent.turns.release()
    assert agent.open
    agent.turns.hear(RESULT)
    assert not agent.open


def test_an_agent_that_does_not_end_after_its_result_is_overdue() -> None:
    agent = Agent()
    agent.turns.hear(RESULT)
    agent.now += 14
    assert not agent.turns.overdue()
    agent.now += 2
    assert agent.turns.overdue()


def test_a_further_turn_is_not_overdue() -> None:
    agent = Agent()
    agent.turns.hear(RESULT)
    agent.turns.hear(INIT)
    agent.now += 1000
    assert not agent.turns.overdue()


def test_a_message_that_is_never_taken_up_does_not_keep_the_agent_alive() -> None:
    agent = Agent()
    agent.turns.say("nobody listens")
    agent.turns.hear(RESULT)
    agent.now += 16
    assert (agent.turns.overdue(), agent.open) == (False, False)
    agent.now += 16
    assert agent.turns.overdue()


STEPS = st.lists(st.sampled_from(["say", "take", "result", "init", "hold", "release", "end", "interrupt", "time"]), max_size=40)


@given(STEPS, st.booleans())
def test_every_message_is_answered_exactly_once_whatever_happens(steps: list[str], hold: bool) -> None:
    agent, said, taken = Agent(hold=hold), 0, 0
    for step in steps:
        match step:
            case "say":
                agent.turns.say(f"word {said}")
                said += 1
            case "take":
                words = [message for message in agent.messages if "uuid" in message]
                if taken < len(words):
                    agent.takes_up(agent.messages.index(words[taken]))
                    taken += 1
            case "result":
                agent.turns.hear(RESULT)
            case "init":
                agent.turns.hear(INIT)
            case "time":
                agent.now += 40
                agent.turns.overdue()
            case other:
                getattr(agent.turns, other)() if other != "interrupt" or agent.open else None
    agent.turns.finish()
    assert sorted(str(text) for text, _ in agent.answers()) == sorted(f"word {number}" for number in range(said))


def test_the_reader_joins_parts_and_passes_on_only_what_matters() -> None:
    heard: list[object] = []
    listen = MessageReader(heard.append)
    line = json.dumps({"result": "x" * 100, "type": "result"})
    listen('{"type":"assistant"}', False)
    listen("no json but result", False)
    listen('{"result", broken', False)
    listen(line[:50], True)
    listen(line[50:], False)
    assert heard == [json.loads(line)]


def test_the_reader_survives_what_is_too_long_or_too_deep() -> None:
    heard: list[object] = []
    listen = MessageReader(heard.append)
    for _ in range(20):
        listen("x" * 1_000_000, True)
    listen("x", False)
    listen('{"init":' + "[" * 100_000, False)
    listen('{"type":"result"}', False)
    assert heard == [{"type": "result"}]
