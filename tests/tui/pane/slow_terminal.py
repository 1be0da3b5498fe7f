"""An app whose terminal accepts nothing: what is written to it waits."""

from io import StringIO

from textual.app import App
from textual.drivers._writer_thread import WriterThread


class SlowTerminal(App[None]):
    """`waiting` frames wait in Textual's writer, which is never started."""

    def __init__(self, waiting: int) -> None:
        super().__init__()
        self.writer = WriterThread(StringIO())
        for _ in range(waiting):
            self.writer.write("frame")

    def on_mount(self) -> None:
        """Install the writer where a terminal's driver has it."""
        vars(self._driver)["_writer_thread"] = self.writer
