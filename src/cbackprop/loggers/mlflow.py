"""A run of MLflow (extra ``mlflow``)."""

from __future__ import annotations

from typing import Any

from cbackprop._extras import library
from cbackprop.callbacks import Callback
from cbackprop.history import History
from cbackprop.loggers import run


class MLflow(Callback):
    """
    Parameters and all that the history records, in the active run of MLflow, or in one of its own.

    Where MLflow keeps it, ``mlflow.set_tracking_uri`` and ``set_experiment`` say.

    Parameters
    ----------
    **options
        Of ``mlflow.start_run``, such as `run_name` or `run_id`, where no run is active.

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
        """Begin a run, unless one is active, and log the parameters that it has not."""
        mlflow = self._library
        self._own = mlflow.active_run() is None
        active = mlflow.start_run(**self.options) if self._own else mlflow.active_run()
        logged = mlflow.get_run(active.info.run_id).data.params  # it refuses another value
        mlflow.log_params({name: value for name, value in run.parameters(network, self).items()
                           if name not in logged})

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Log what was measured."""
        self._library.log_metrics(run.numbers(history), step=len(history))

    def on_train_end(self, network: Any, history: History) -> None:
        """End a run of its own, and say how it ended."""
        if self._own:
            error = run.failure()
            killed = isinstance(error, KeyboardInterrupt)
            self._library.end_run("KILLED" if killed else "FAILED" if error else "FINISHED")
