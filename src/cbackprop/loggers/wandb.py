"""A run of Weights & Biases (extra ``wandb``)."""

from __future__ import annotations

from typing import Any

from cbackprop._extras import library
from cbackprop.callbacks import Callback
from cbackprop.history import History
from cbackprop.loggers import run


class WandB(Callback):
    """
    Logs settings and every entry of the history to W&B: to the active run, or to a new one.

    Parameters
    ----------
    **options
        Arguments of ``wandb.init``, such as `project` or ``mode="offline"``, if no run is active.

    Raises
    ------
    ModuleNotFoundError
        If wandb is missing.

    Examples
    --------
    >>> net.SGD((x, y), 10, 10, 0.5, callbacks=[WandB(project="digits")])  # doctest: +SKIP
    """

    def __init__(self, **options: Any) -> None:
        self._library, self.options = library("wandb", "WandB", "wandb"), options

    def on_train_begin(self, network: Any, history: History) -> None:
        """Begin a run, unless one is active, and log the parameters."""
        self._own = self._library.run is None
        self._run = self._library.init(**self.options) if self._own else self._library.run
        self._run.config.update(run.parameters(network, self), allow_val_change=True)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Log what was measured."""
        self._run.log({"epoch": len(history), **run.numbers(history)})

    def on_train_end(self, network: Any, history: History) -> None:
        """End the run, if it was begun here, and record whether it failed."""
        if self._own:
            self._run.finish(exit_code=1 if run.failure() else 0)
