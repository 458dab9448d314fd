"""Progress of a scan: one line on a terminal, or one display in a notebook."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from .events import CameraDone, Event, ScanProgress
from .models import Progress, ScanRecord

ProgressChoice = bool | Callable[[Event], None] | None
"""`None`: shown in a terminal or a notebook. True: always, False: never. A function gets every event of the scan."""


class Shown(Protocol):
    """Where the progress of a scan goes."""

    def show(self, event: Event) -> None:
        """Takes an event of the scan."""

    def end(self, record: ScanRecord | None) -> None:
        """The scan has ended, or the waiting for it (`None`)."""


class Nothing:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Takes an event."""

    def end(self, record: ScanRecord | None) -> None:
        """Ends."""


class Called(Nothing):
    """Hands events to a function."""

    def __init__(self, function: Callable[[Event], None]) -> None:
        self.function = function

    def show(self, event: Event) -> None:
        """Takes an event."""
        self.function(event)


class Line:
    """One line that is written anew."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.start_mm: float | None = None
        self.done: set[str] = set()

    def show(self, event: Event) -> None:
        """Takes an event."""
        if isinstance(event, CameraDone):
            self.done.add(event.camera)
        if isinstance(event, ScanProgress):
            if self.start_mm is None:
                self.start_mm = event.progress.position_mm
            self.write(text_of(event.progress, self.start_mm, self.done))

    def end(self, record: ScanRecord | None) -> None:
        """Writes the last line."""
        if record is not None:
            state = "complete" if record.complete else f"incomplete: {record.reason}"
            self.write(f"{record.id}  {len(record.samples)} samples  {record.embeddings} embeddings  {state}")


class Terminal(Line):
    """A line of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(self._write)
        self.stream = stream

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        # A closed terminal shows nothing, and the scan goes on.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write("\r\x1b[K" + "".join(c if c.isprintable() else "�" for c in text)[:width])
            self.stream.flush()

    def end(self, record: ScanRecord | None) -> None:
        """Writes the last line, and ends it."""
        super().end(record)
        with contextlib.suppress(OSError, ValueError):
            self.stream.write("\n")
            self.stream.flush()


class Notebook(Line):
    """A display of a notebook that is updated in place."""

    def __init__(self, display: Callable[..., Any]) -> None:
        super().__init__(self._write)
        self.display = display
        self.handle: Any = None

    def _write(self, text: str) -> None:
        data = {"text/plain": text}
        if self.handle is None:
            self.handle = self.display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)


def text_of(progress: Progress, start_mm: float, done: set[str]) -> str:
    """Progress as one line."""
    way = progress.end_mm - start_mm
    share = min(max((progress.position_mm - start_mm) / way, 0.0), 1.0) if way > 0 else 0.0
    bar = "=" * int(20 * share)
    cameras = "  ".join(
        f"{name} {sums.received} lines, {sums.lost} lost{', done' if name in done else ''}" for name, sums in progress.cameras.items()
    )
    return f"[{bar:20}] {share:4.0%}  {cameras}  {progress.samples} samples  {progress.embeddings} embeddings"


def shown_by(choice: ProgressChoice) -> Shown:
    """Where progress goes."""
    if choice is False:
        return Nothing()
    if callable(choice):
        return Called(choice)
    display = _notebook()
    if display is not None:
        return Notebook(display)
    if choice is True or sys.stderr.isatty():
        return Terminal(sys.stderr)
    return Nothing()


def _notebook() -> Callable[..., Any] | None:
    """The display of the notebook in which this runs. IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not getattr(shell, "kernel", None):
        return None
    from IPython.display import display

    function: Callable[..., Any] = display
    return function
