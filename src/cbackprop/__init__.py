"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

import importlib
from typing import Any

from cbackprop import _deprecated, callbacks, datasets, optimizers, schedules  # noqa: F401
from cbackprop._endings import DivergenceError
from cbackprop._version import __version__
from cbackprop.config import show_config
from cbackprop.functions import Activation, Cost
from cbackprop.history import History
from cbackprop.many import train_many
from cbackprop.network import Network
from cbackprop.rowsource import RowSource

__all__ = [
    "Activation",
    "Cost",
    "DivergenceError",
    "History",
    "Network",
    "RowSource",
    "__version__",
    "callbacks",
    "datasets",
    "inspect",
    "optimizers",
    "plot",
    "schedules",
    "show_config",
    "train_many",
]

LAZY = ("inspect", "plot")  # most who train do not need them


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return importlib.import_module(f"cbackprop.{name}")
    raise AttributeError(f"module 'cbackprop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
