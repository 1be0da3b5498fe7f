"""What the six agents of the terminal's demo are asked and do: real edits, commands and commits, played by a script.

One waits for input, one fails, one is refused by a rule; the others deliver.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Action = Mapping[str, object]

FILES = {
    ".gitignore": "__pycache__/\n",
    "README.md": "# Shop\n\nA small shop, made for a demonstration.\n",
    "shop/__init__.py": '"""A small shop."""\n',
    "shop/cart.py": "def total(prices: list[float]) -> float:\n    return sum(prices)\n",
    "shop/login.py": "def login(name: str, password: str) -> bool:\n    return bool(name and password)\n",
    "shop/search.py": "def search(words: str, names: list[str]) -> list[str]:\n    return [name for name in names if words in name]\n",
    "tests/test_cart.py": "from shop.cart import total\n\n\ndef test_total() -> None:\n    assert total([0.5, 0.5]) == 1\n",
}


class DemoTask(NamedTuple):
    """One agent's task in the demo, and what it does."""

    branch: str
    prompt: str
    message: str
    script: Sequence[Action]
    hold: bool = False


_LIMITER = '''"""Counts logins, so that nobody can try passwords without end."""

import time

LIMIT, SECONDS = 5, 60.0


class Limiter:
    """Allows so many tries in so many seconds."""

    def __init__(self) -> None:
        self._tries: dict[str, list[float]] = {}

    def allows(self, name: str) -> bool:
        """Whether this name may try again now."""
        now = time.monotonic()
        tries = [at for at in self._tries.get(name, []) if now - at < SECONDS]
        self._tries[name] = [*tries, now]
        return len(tries) < LIMIT
'''
_LIMITER_TEST = """from shop.limits import LIMIT, Limiter


def test_the_limit_is_kept() -> None:
    limiter = Limiter()
    assert all(limiter.allows("ann") for _ in range(LIMIT))
    assert not limiter.allows("ann")


def test_everybody_has_a_limit_of_their_own() -> None:
    limiter = Limiter()
    for _ in range(LIMIT):
        limiter.allows("ann")
    assert limiter.allows("bob")
"""

TASKS = (
    DemoTask(
        "feature/rate-limit",
        "Limit the rate of logins per user, with tests.",
        "Limit the rate of logins",
        [
            {"think": "The login has no state yet; a small class of its own keeps it testable."},
            {"type": "I'll start with the login module and see who calls it.", "seconds": 2},
            {"read": "shop/login.py"},
            {"bash": "grep -rn 'login(' --include=*.py ."},
            {
                "type": "Nobody keeps count of tries. A limiter of its own is easiest to test, so I'll put it beside the login.",
                "seconds": 3,
            },
            {"write": "shop/limits.py", "text": _LIMITER},
            {"spend": 0.06, "input": 9000, "output": 800},
            {"sleep": 1.5},
            {"write": "tests/test_limits.py", "text": _LIMITER_TEST},
            {"type": "Now the tests: first those of the limiter alone.", "seconds": 2},
            {"bash": "sleep 2; ls tests"},
            {"type": "Both pass. The login itself asks the limiter now.", "seconds": 2},
            {
                "edit": "shop/login.py",
                "old": "return bool(name and password)",
                "new": "return bool(name and password) and _limiter.allows(name)",
            },
            {"edit": "shop/login.py", "old": "def login", "new": "from shop.limits import Limiter\n\n_limiter = Limiter()\n\n\ndef login"},
            {"bash": 'python3 -c \'from shop.login import login; print([login("ann", "x") for _ in range(7)])\''},
            {"spend": 0.09, "input": 14000, "output": 1200},
            {"sleep": 2},
            {
                "say": "Logins are limited to five a minute and user; the sixth is refused. Tests cover the limit and that users do not share it."
            },
        ],
    ),
    DemoTask(
        "docs/install",
        "The README lacks an install section.",
        "Say how to install the shop",
        [
            {"type": "A short section is enough here; I'll add it below the introduction.", "seconds": 3},
            {"append": "README.md", "text": "\n## Install\n\n    pip install shop\n"},
            {"spend": 0.02, "input": 3000, "output": 200},
            {"sleep": 2},
            {"say": "The README now says how to install the shop."},
        ],
    ),
    DemoTask(
        "feature/search",
        "Search is too slow with many products; build an index.",
        "Search with an index",
        [
            {"type": "The search walks through all names each time. Let me measure it before I change anything.", "seconds": 3},
            {"bash": "python3 -m timeit -n 20 -s 'names = [str(n) for n in range(200000)]' '[n for n in names if \"777\" in n]'"},
            {"spend": 0.05, "input": 7000, "output": 500},
            {"append": "shop/search.py", "text": "\n# An index belongs here.\n"},
            {"ask": "The index can live in memory or in SQLite. In memory is simpler, SQLite survives a restart. Which one do you want?"},
        ],
        hold=True,
    ),
    DemoTask(
        "fix/rounding",
        "Totals like 0.1 + 0.2 show too many digits; round them in one place.",
        "Round the total in one place",
        [
            {"type": "The total is computed with floats; I'll look for the place where it is shown.", "seconds": 3},
            {"bash": "grep -rn total shop"},
            {"edit": "shop/cart.py", "old": "return sum(prices)", "new": "return round(sum(prices), 2)"},
            {"bash": "python3 -c 'from shop.cart import total; print(total([0.1, 0.2]))'"},
            {"retry": 3, "wait": 1.5},
            {"fail": "overloaded"},
        ],
    ),
    DemoTask(
        "chore/settings",
        "Take the settings from the directory that all our machines share.",
        "Take the settings from the shared directory",
        [
            {"type": "The shared settings lie in /etc/shop on every machine; a link is the smallest change.", "seconds": 3},
            {"bash": "ls -d /etc/shop 2>/dev/null || echo not on this machine, but that is no matter"},
            {"symlink": "settings", "to": "/etc/shop"},
            {"append": "README.md", "text": "\nThe settings are in `settings`, a link to `/etc/shop`.\n"},
            {"spend": 0.03, "input": 4000, "output": 250},
            {"sleep": 1},
            {"say": "`settings` is a link to /etc/shop now, and the README says so."},
        ],
    ),
    DemoTask(
        "chore/audit",
        "Go through the whole shop and write down what looks risky.",
        "Add the result of the audit",
        [
            *[
                action
                for number, name in enumerate(("cart", "login", "search") * 8, 1)
                for action in (
                    {
                        "type": f"Pass {number}: reading {name} once more with other eyes, from its callers down to what it trusts.",
                        "seconds": 1.5,
                    },
                    {"read": f"shop/{name}.py"},
                    {"spend": 0.01, "input": 1500, "output": 90},
                    {"sleep": 1},
                )
            ],
            {"write": "AUDIT.md", "text": "# Audit\n\n- login keeps no count of tries\n- totals are floats\n"},
            {"say": "The audit is done: two findings, both in AUDIT.md."},
        ],
    ),
)
