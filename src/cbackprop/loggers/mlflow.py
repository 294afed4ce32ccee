"""A run of MLflow (extra ``mlflow``)."""

from __future__ import annotations

from typing import Any

from cbackprop._extras import library
from cbackprop.callbacks import Callback
from cbackprop.history import History
from cbackprop.loggers import run


class MLflow(Callback):
    """
    Logs settings and every entry of the history to MLflow: to the active run, or to a new one.

    ``mlflow.set_tracking_uri`` and ``mlflow.set_experiment`` choose where MLflow keeps the run.

    Parameters
    ----------
    **options
        Arguments of ``mlflow.start_run``, such as `run_name` or `run_id`, if no run is active.

    Raises
    ------
    ModuleNotFoundError
        If mlflow is missing.

    Examples
    --------
    >>> net.SGD((x, y), 10, 10, 0.5, callbacks=[MLflow(run_name="first")])  # doctest: +SKIP
    """

    def __init__(self, **options: Any) -> None:
        self._library, self.options = library("mlflow", "MLflow", "mlflow"), options

    def on_train_begin(self, network: Any, history: History) -> None:
        """Begin a run, unless one is active, and log the parameters that it does not have yet."""
        mlflow = self._library
        self._own = mlflow.active_run() is None
        active = mlflow.start_run(**self.options) if self._own else mlflow.active_run()
        logged = mlflow.get_run(active.info.run_id).data.params  # MLflow refuses a second value
        mlflow.log_params({name: value for name, value in run.parameters(network, self).items()
                           if name not in logged})

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Log what was measured."""
        self._library.log_metrics(run.numbers(history), step=len(history))

    def on_train_end(self, network: Any, history: History) -> None:
        """End the run, if it was begun here, with a status that says how."""
        if self._own:
            error = run.failure()
            killed = isinstance(error, KeyboardInterrupt)
            self._library.end_run("KILLED" if killed else "FAILED" if error else "FINISHED")
