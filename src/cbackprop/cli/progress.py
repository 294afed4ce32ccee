"""How training goes on: a bar on a terminal, else a line for every epoch."""

from __future__ import annotations

import re
import shutil
import sys
import time
from typing import Any

from cbackprop import History
from cbackprop.callbacks import Callback, ProgressBar, bar
from cbackprop.cli.output import Output

WIDTH = 16  # of the bar, in characters
PAUSE = 0.1  # seconds between two pictures of it


class PlainBar(Callback):
    """A bar on standard error, which needs nothing but a terminal."""

    def on_train_begin(self, network: Any, history: History) -> None:
        """Start the clock."""
        self._first, self._start, self._next = len(history), time.perf_counter(), 0.0

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Draw it again, if that was not just done."""
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + PAUSE
        rows = min(history.rows, (step - history.steps) * history.mini_batch_size)
        done = len(history) - self._first + rows / history.rows
        whole = history.epochs - self._first
        left = (now - self._start) * (whole - done) / max(done, 1e-9)
        filled = int(WIDTH * done / whole)
        text = (f"epoch {min(len(history) + 1, history.epochs)}/{history.epochs} "
                f"[{'#' * filled}{'.' * (WIDTH - filled)}] {left:.0f} s left")
        if len(history):
            text += f"  {re.sub('^epoch +[0-9]+ +', '', history.line())}"
        self._show(text)

    def on_train_end(self, network: Any, history: History) -> None:
        """Wipe it away: the lines that follow say more."""
        self._show("")

    def _show(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{text[:width]}\x1b[K")
        sys.stderr.flush()


class EpochLines(Callback):
    """A line for every epoch on the standard output."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Print it."""
        self.output.line(history.line())


def shown(output: Output) -> list[Callback]:
    """Return what shows the progress: tqdm's bar if it is there, ours if not, or lines."""
    if output.quiet:
        return []
    if not sys.stderr.isatty():
        return [] if output.as_json else [EpochLines(output)]
    try:
        bar()
    except ModuleNotFoundError:
        return [PlainBar()]
    return [ProgressBar()]
