"""A run's events on disk, in order: one writer, and readers in any process."""

from ccterm.transcript.follow import follow
from ccterm.transcript.reader import last_event, read_events
from ccterm.transcript.writer import AGENT_FILE, CAP, EVENTS_FILE, Transcript

__all__ = ["AGENT_FILE", "CAP", "EVENTS_FILE", "Transcript", "follow", "last_event", "read_events"]
