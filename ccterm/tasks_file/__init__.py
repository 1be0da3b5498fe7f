"""Batch files: tasks as YAML or JSON Lines in, typed entries out; every fault names line, column and remedy."""

from ccterm.tasks_file.entry import TaskEntry, task_entry
from ccterm.tasks_file.nodes import MAX_TASKS
from ccterm.tasks_file.read import MAX_BYTES, parse_tasks, read_tasks

__all__ = ["MAX_BYTES", "MAX_TASKS", "TaskEntry", "parse_tasks", "read_tasks", "task_entry"]
