"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

import importlib
from typing import Any

from cbackprop import _deprecated as _deprecated
from cbackprop import (
    _renamed,
    callbacks,
    datasets,
    metrics,
    optimizers,
    schedules,
    streams,
    tables,
)
from cbackprop._endings import DivergenceError
from cbackprop._version import __version__ as __version__
from cbackprop.config import show_config
from cbackprop.functions import Activation, Cost
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.parallel_training import mean_output, train_many
from cbackprop.sources import RowSource

__all__ = ["Activation", "Cost", "DivergenceError", "Ensemble", "History", "Network", "RowSource",
           "book", "callbacks", "chapter2", "convert", "datasets", "inspect", "loggers",
           "mean_output", "metrics", "optimizers", "plot", "schedules", "show_config", "streams",
           "sweep", "tables", "train_many",
           "train_table"]  # not sklearn, which not everybody can import

# Most trainings need none of these.
LAZY = ("book", "chapter2", "convert", "inspect", "loggers", "plot", "sklearn")
LAZY_FUNCTIONS = {"Ensemble": "cbackprop.ensemble", "sweep": "cbackprop.sweeps",
                  "train_table": "cbackprop.table_training"}


def __getattr__(name: str) -> Any:
    if name in LAZY:
        try:
            return importlib.import_module(f"cbackprop.{name}")
        except ModuleNotFoundError as error:  # for hasattr
            raise AttributeError(str(error), name=name) from error
    if name in LAZY_FUNCTIONS:
        return getattr(importlib.import_module(LAZY_FUNCTIONS[name]), name)
    return _renamed.getter("cbackprop", stacklevel=3)(name)


def __dir__() -> list[str]:
    dunders = (name for name in globals() if name.startswith("__"))
    return sorted({*__all__, *LAZY, *LAZY_FUNCTIONS, *dunders})
