"""Reads the archive of recorded runs."""

import functools
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Capture:
    """One run: its stdout, exit code (negative: signal) and stderr."""

    stdout: str
    exit: int
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Lines of stdout, without their ends."""
        return self.stdout.split("\n")

    @property
    def objects(self) -> list[dict[str, JsonValue]]:
        """Lines of stdout that are JSON objects."""
        return [value for value in map(_load, self.lines) if isinstance(value, dict)]


def _load(line: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(line)
    except ValueError:
        return None
    return value


@functools.cache
def captures() -> Mapping[str, Capture]:
    """Return all recorded runs by name."""
    with tarfile.open(HERE / "stream-json.tar.xz") as archive:
        files = {member.name: file.read().decode("utf-8", "replace") for member in archive if (file := archive.extractfile(member))}
    meta = json.loads(files.pop("meta.json"))
    return {name: Capture(files[f"{name}.jsonl"], fields["rc"] or 0, fields["stderr"]) for name, fields in meta.items()}


def samples() -> list[dict[str, JsonValue]]:
    """Return one real line of each type."""
    return [json.loads(line) for line in (HERE / "SAMPLES.jsonl").read_text(encoding="utf-8").split("\n") if line]
