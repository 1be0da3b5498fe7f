"""The pane that shows a run's transcript as it grows: `EventPane`, and the `FrameClock` that all panes of an app share."""

from ccterm.tui.pane.clock import FrameClock
from ccterm.tui.pane.pane import EventPane
from ccterm.tui.pane.source import ByteStore, FileStore, MemoryStore

__all__ = ["ByteStore", "EventPane", "FileStore", "FrameClock", "MemoryStore"]
