"""What a permission for the rest of a run covers: in the box as rules for the agent's program, on the host in words, before the user gives it."""

from collections.abc import Mapping, Sequence
from typing import Any

Rule = Mapping[str, Any]


def lasting_rules(request: Mapping[str, Any]) -> Sequence[Rule]:
    """Return the rules that allow the like of a request: those that the agent's program suggests with it, else one for its whole tool.

    They last as long as the session. As suggested they would be written into the repository's own settings.
    """
    suggested = request.get("permission_suggestions")
    rules = [{**each, "destination": "session"} for each in (suggested if isinstance(suggested, list) else ()) if _is_narrow(each)]
    whole = {"type": "addRules", "rules": [{"toolName": request.get("tool_name")}], "behavior": "allow", "destination": "session"}
    return rules or [whole]


def _is_narrow(rule: object) -> bool:
    """Whether a suggestion allows certain calls or directories, rather than another permission mode."""
    match rule:
        case {"type": "addRules", "behavior": "allow", "rules": [_, *_]} | {"type": "addDirectories", "directories": [_, *_]}:
            return True
        case _:
            return False


def in_words(rules: Sequence[Rule]) -> str:
    """Return what rules allow, in words: `npm run *, files in /srv`, or `every call of Bash`."""
    found: list[str] = []
    for rule in rules:
        if rule["type"] == "addDirectories":
            found += [f"files in {directory}" for directory in rule["directories"]]
        else:
            found += [str(_content(each) or f"every call of {_tool(each)}") for each in rule["rules"]]
    return ", ".join(found)


def _content(rule: object) -> object:
    return rule.get("ruleContent") if isinstance(rule, dict) else ""


def _tool(rule: object) -> object:
    return rule.get("toolName") if isinstance(rule, dict) else rule
