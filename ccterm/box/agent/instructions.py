"""Brings a repository's instructions for Claude in without its settings: CLAUDE.md and rules in place, the rest as defused copies.

Skills, commands and agents are copied into a plugin directory beside the tree. The tree's own .claude is never given as a plugin: its
hooks/hooks.json and .mcp.json would act. Links are followed as far as they stay in the tree.
"""

import os
from collections.abc import Collection, Iterator

from ccterm.box.agent.frontmatter import defused

PLUGIN, GUIDANCE = "repo", "guidance"
"""Directories beside the tree; skills, commands and agents are called by the first one's name."""
_LARGEST = 256 * 1024
_MOST_FILES = 500
_MOST_VISITS = 5_000
"""Bounds a walk that links could make endless."""
_MOST_GUIDES = 16
_DEEPEST = 4
_MOST_DIRECTORIES = 2_000
_FOREIGN = frozenset({"node_modules", "vendor", "third_party", "target", "dist", "build", "venv", "__pycache__"})
"""Directories whose CLAUDE.md is not the repository's own."""
_COMMON_KEYS = frozenset({"name", "description", "model", "effort", "version"})
_SKILL_KEYS = _COMMON_KEYS | {
    "when_to_use", "argument-hint", "arguments", "license", "disable-model-invocation", "user-invocable", "context", "agent", "paths",
}  # fmt: skip
_AGENT_KEYS = _COMMON_KEYS | {"tools", "disallowedTools", "color", "maxTurns", "skills", "isolation"}


class Instructions:
    """The instructions of one tree. commands: the names of the commands and skills that were brought in."""

    def __init__(self, tree: str) -> None:
        self._tree = os.path.realpath(tree)
        self._beside = os.path.dirname(os.path.abspath(tree))
        self._removed: dict[str, set[str]] = {}
        self._outside: list[str] = []
        self._files = self._visits = 0
        self.commands: list[str] = []

    def bring(self) -> list[str]:
        """Make the copies; return the arguments that load everything. Raises OSError."""
        self._skills()
        self._texts("commands", _SKILL_KEYS)
        self._texts("agents", _AGENT_KEYS)
        plugin = ["--plugin-dir", f"../{PLUGIN}"] if os.path.isdir(os.path.join(self._beside, PLUGIN)) else []
        return [*self._memory(), *plugin]

    def left_out(self) -> Iterator[str]:
        """Yield what of the instructions does not come along."""
        for kind, keys in sorted(self._removed.items()):
            yield f".claude/{kind} ({', '.join(sorted(keys)[:6])})"
        if self._outside:
            more = f" and {len(self._outside) - 3} more" if len(self._outside) > 3 else ""
            yield f"links out of the repository ({', '.join(self._outside[:3])}{more})"
        if self._files > _MOST_FILES or self._visits > _MOST_VISITS:
            yield "what .claude holds beyond some hundreds of files"

    def _memory(self) -> list[str]:
        """Return the arguments for CLAUDE.md, the rules, what stands for a CLAUDE.md, and those of deeper directories."""
        directories = ["."] if self._rules_stay_inside() else []
        directories += _guides(self._tree)
        if self._guidance():
            directories.append(f"../{GUIDANCE}")
        return ["--add-dir", *directories] if directories else []

    def _rules_stay_inside(self) -> bool:
        """Whether nothing that the CLI reads for CLAUDE.md and rules is a link out of the tree; it would follow one."""
        known = len(self._outside)
        for path in ("CLAUDE.md", ".claude/CLAUDE.md", *self._below(".claude/rules")):
            if os.path.lexists(os.path.join(self._tree, path)):
                self._real(path)
        return len(self._outside) == known

    def _guidance(self) -> bool:
        """Copy what the CLI reads beside or instead of a CLAUDE.md; return whether there is any."""
        names = ["CLAUDE.local.md"]
        if not any(os.path.lexists(os.path.join(self._tree, name)) for name in ("CLAUDE.md", ".claude/CLAUDE.md")):
            names.append("AGENTS.md")
        texts = [text for name in names if (text := self._read(name)) is not None]
        if texts:
            self._write(f"{GUIDANCE}/CLAUDE.md", "\n".join(texts))
        return bool(texts)

    def _skills(self) -> None:
        """Copy the head file of each skill; everything else of it stays where it is, behind links."""
        for name in self._names(".claude/skills"):
            text = self._read(f".claude/skills/{name}/SKILL.md")
            if text is None:
                continue
            self.commands.append(name)
            self._defuse("skills", f"skills/{name}/SKILL.md", text, _SKILL_KEYS)
            for other in self._names(f".claude/skills/{name}"):
                target = self._real(f".claude/skills/{name}/{other}")
                if target and other.casefold() != "skill.md":
                    os.symlink(target, os.path.join(self._beside, PLUGIN, "skills", name, other))

    def _texts(self, kind: str, keep: Collection[str]) -> None:
        for path in self._below(f".claude/{kind}"):
            text = self._read(path) if path.endswith(".md") else None
            if text is None:
                continue
            inner = path.removeprefix(f".claude/{kind}/")
            if kind == "commands":
                self.commands.append(inner.removesuffix(".md").replace("/", ":"))
            self._defuse(kind, f"{kind}/{inner}", text, keep)

    def _defuse(self, kind: str, to: str, text: str, keep: Collection[str]) -> None:
        fresh, removed = defused(text, keep)
        if removed:
            self._removed.setdefault(kind, set()).update(removed)
        self._write(f"{PLUGIN}/{to}", fresh)

    def _below(self, path: str) -> Iterator[str]:
        """Yield the files below a directory, in order, to a bounded depth."""
        self._visits += 1
        if self._visits > _MOST_VISITS:
            return
        if not os.path.isdir(os.path.join(self._tree, path)):
            yield from [path] if os.path.lexists(os.path.join(self._tree, path)) else []
        elif path.count("/") < _DEEPEST + 2 and self._real(path):
            for name in self._names(path):
                yield from self._below(f"{path}/{name}")

    def _names(self, path: str) -> list[str]:
        """Return the names in a directory of the tree; none if it is none, or lies elsewhere."""
        real = self._real(path) if os.path.lexists(os.path.join(self._tree, path)) else None
        return sorted(os.listdir(real))[:_MOST_FILES] if real and os.path.isdir(real) else []

    def _read(self, path: str) -> str | None:
        """Return the text of a file of the tree; None if it is none, or too much was read already."""
        real = self._real(path) if os.path.lexists(os.path.join(self._tree, path)) else None
        if real is None or not os.path.isfile(real) or os.path.getsize(real) > _LARGEST:
            return None
        self._files += 1
        if self._files > _MOST_FILES:
            return None
        with open(real, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()

    def _real(self, path: str) -> str | None:
        """Return where a path really lies; None, and remember it, if that is not in the tree."""
        real = os.path.realpath(os.path.join(self._tree, path))
        if real.startswith(self._tree + os.sep):
            return real
        if path not in self._outside:
            self._outside.append(path)
        return None

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self._beside, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)


def _guides(tree: str) -> list[str]:
    """Return the directories below the top that have a CLAUDE.md of their own; not all of a tree that is very wide or deep."""
    found: list[str] = []
    waiting, seen = [""], 0
    while waiting and seen < _MOST_DIRECTORIES and len(found) < _MOST_GUIDES:
        here = waiting.pop(0)
        seen += 1
        try:
            with os.scandir(os.path.join(tree, here)) as entries:
                nodes = {entry.name: entry for entry in entries}
        except OSError:
            continue
        if here and "CLAUDE.md" in nodes and nodes["CLAUDE.md"].is_file(follow_symlinks=False):
            found.append(here)
        if here.count("/") + bool(here) < _DEEPEST:
            inner = sorted(name for name, node in nodes.items() if node.is_dir(follow_symlinks=False) and _own(name))
            waiting += [os.path.join(here, name) for name in inner]
    return found


def _own(name: str) -> bool:
    return not name.startswith((".", "-")) and name not in _FOREIGN
