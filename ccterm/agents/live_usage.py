"""What a turn has used so far. The CLI's results alone tell costs; between them each message tells its tokens, and the gateway counts them."""

from collections import OrderedDict

from ccterm.agents.json_values import JsonObject, count, mapping, string
from ccterm.events import Spent
from ccterm.values import Tokens

_REMEMBERED = 64
"""How many messages may still grow: one of the agent itself, and one of each sub-agent."""


class LiveUsage:
    """Adds up the tokens of the messages of a turn, each of which is told several times, with ever larger numbers."""

    def __init__(self) -> None:
        """Begin with a turn; a result counts it, and the next one has another object."""
        self._messages: OrderedDict[str, Tokens] = OrderedDict()
        self._ended = Tokens()
        self._turns = 0
        self._told = (Tokens(), 0)
        self._streamed: dict[str, str] = {}

    def message(self, line: JsonObject) -> None:
        """Note a line of kind `assistant`."""
        message = mapping(line.get("message"))
        self._note(string(message.get("id")), mapping(message.get("usage")), own=not line.get("parent_tool_use_id"))

    def stream_event(self, line: JsonObject) -> None:
        """Note a piece of a message that is still being made: its start names it, and its last piece tells how long it became."""
        event, parent = mapping(line.get("event")), string(line.get("parent_tool_use_id"))
        if event.get("type") == "message_start":
            message = mapping(event.get("message"))
            self._streamed = {**self._streamed, parent: string(message.get("id"))} if len(self._streamed) < _REMEMBERED else {}
            self._note(string(message.get("id")), mapping(message.get("usage")), own=not parent)
        elif event.get("type") == "message_delta":
            self._note(self._streamed.get(parent, ""), mapping(event.get("usage")), own=not parent)

    def _note(self, key: str, usage: JsonObject, *, own: bool) -> None:
        if not key or not usage:
            return
        cached = count(usage.get("cache_read_input_tokens")) + count(usage.get("cache_creation_input_tokens"))
        before = self._messages.pop(key, None)
        if before is None:
            self._turns += own
            before = Tokens()
        self._messages[key] = Tokens(
            input=max(before.input, count(usage.get("input_tokens"))),
            output=max(before.output, count(usage.get("output_tokens"))),
            cache=max(before.cache, cached),
        )
        if len(self._messages) > _REMEMBERED:
            self._ended = _sum(self._ended, self._messages.popitem(last=False)[1])

    def _in_messages(self) -> Tokens:
        used = self._ended
        for tokens in self._messages.values():
            used = _sum(used, tokens)
        return used

    def since(self, spent: Spent, counted: Tokens | None = None) -> Spent | None:
        """Return what the run has used after its last result, or None when nothing is new.

        spent: what that result told. Its cost per token says about what the tokens since then cost; without a result nothing is said of it.
        counted: what the gateway counted since the run began: the same tokens, and those of requests that no message tells of; it may be late.
        """
        used = self._in_messages() if counted is None else _largest(self._in_messages(), _beyond(counted, spent))
        if (used, self._turns) == self._told:
            return None
        self._told = (used, self._turns)
        told, since = spent.input + spent.output + spent.cache, used.input + used.output + used.cache
        about = spent.cost_usd * (1 + since / told) if spent.cost_usd and told else None
        return Spent(
            cost_usd=spent.cost_usd,
            about_usd=about,
            requests=spent.requests,
            throttled=spent.throttled,
            input=spent.input + used.input,
            output=spent.output + used.output,
            cache=spent.cache + used.cache,
            turns=spent.turns + self._turns,
        )


def _beyond(counted: Tokens, spent: Spent) -> Tokens:
    """Return what was counted beyond what results told."""
    return Tokens(
        input=max(0, counted.input - spent.input),
        output=max(0, counted.output - spent.output),
        cache=max(0, counted.cache - spent.cache),
    )


def _largest(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(input=max(one.input, other.input), output=max(one.output, other.output), cache=max(one.cache, other.cache))


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(input=one.input + other.input, output=one.output + other.output, cache=one.cache + other.cache)
