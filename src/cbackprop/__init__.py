"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

import importlib
from typing import Any

from cbackprop import _deprecated as _deprecated
from cbackprop import _renamed, callbacks, datasets, optimizers, schedules
from cbackprop._endings import DivergenceError
from cbackprop._version import __version__ as __version__
from cbackprop.config import show_config
from cbackprop.functions import Activation, Cost
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.sources import RowSource
from cbackprop.sweep import train_many

__all__ = ["Activation", "Cost", "DivergenceError", "History", "Network", "RowSource", "book",
           "callbacks", "chapter2", "convert", "datasets", "inspect", "optimizers", "plot",
           "schedules", "show_config", "train_many"]  # not sklearn, which not everybody can import

LAZY = ("book", "chapter2", "convert", "inspect", "plot", "sklearn")  # most trainings need none


def __getattr__(name: str) -> Any:
    if name in LAZY:
        try:
            return importlib.import_module(f"cbackprop.{name}")
        except ModuleNotFoundError as error:  # for hasattr
            raise AttributeError(str(error), name=name) from error
    return _renamed.getter("cbackprop", stacklevel=3)(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
