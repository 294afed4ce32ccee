"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

from cbackprop import callbacks, datasets, optimizers, schedules
from cbackprop.config import show_config
from cbackprop.history import History
from cbackprop.network import DivergenceError, Network
from cbackprop.rowsource import RowSource

__version__ = "0.2.0"
__all__ = ["DivergenceError", "History", "Network", "RowSource", "callbacks", "datasets",
           "optimizers", "schedules", "show_config"]
