"""Batch files: tasks as YAML or JSON Lines in, drafts out; every error has line, column and fix."""

from ccterm.draft import Draft, draft
from ccterm.tasks_file.nodes import MAX_TASKS
from ccterm.tasks_file.read import MAX_BYTES, TaskFile, parse_tasks, read_tasks

__all__ = ["MAX_BYTES", "MAX_TASKS", "Draft", "TaskFile", "parse_tasks", "read_tasks", "draft"]
