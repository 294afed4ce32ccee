"""TensorBoard's logs, written by tensorboardX (extra ``tensorboard``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from cbackprop import _check
from cbackprop._extras import library
from cbackprop.callbacks import Callback
from cbackprop.history import History
from cbackprop.loggers import run


class TensorBoard(Callback):
    """
    Writes every entry of the history as a curve, for ``tensorboard --logdir FOLDER``.

    Parameters
    ----------
    folder : str or path-like
        Each run needs a folder of its own. A training with `resume` may use the same again.
    histograms : bool
        Whether the weights and biases of every layer are drawn after each epoch.

    Raises
    ------
    ModuleNotFoundError
        If tensorboardX is missing.

    Examples
    --------
    >>> net.SGD((x, y), 10, 10, 0.5, callbacks=[TensorBoard("runs/first")])  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str], *, histograms: bool = False) -> None:
        self._library = library("tensorboardX", "TensorBoard", "tensorboard")
        try:
            self.folder = os.fspath(folder)
        except TypeError:
            raise TypeError(f"folder must be a str or path-like, got {_check.shown(folder)}"
                            ) from None
        self.histograms = _check.boolean("histograms", histograms)

    def writes(self) -> Sequence[str]:
        """Return the folder."""
        return (os.fsdecode(self.folder),)

    def on_train_begin(self, network: Any, history: History) -> None:
        """Write a table of the parameters of the run."""
        self._writer = self._library.SummaryWriter(self.folder)
        lines = [f"| {name} | {value} |" for name, value in run.parameters(network, self).items()]
        self._writer.add_text("parameters", "\n".join(["| | |", "|---|---|", *lines]), len(history))

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Write what was measured."""
        epoch = len(history)
        for name, value in run.numbers(history).items():
            self._writer.add_scalar(name, value, epoch)
        if self.histograms:
            for kind, views in (("weights", network.weights), ("biases", network.biases)):
                for layer, view in enumerate(views):
                    self._writer.add_histogram(f"{kind}/{layer}", view, epoch)
        self._writer.flush()

    def on_train_end(self, network: Any, history: History) -> None:
        """Close the file."""
        self._writer.close()
