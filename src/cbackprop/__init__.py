"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

from cbackprop import callbacks, datasets, optimizers, schedules
from cbackprop.config import show_config
from cbackprop.functions import Activation, Cost
from cbackprop.history import History
from cbackprop.many import train_many
from cbackprop.network import DivergenceError, Network
from cbackprop.rowsource import RowSource

__version__ = "0.3.0"
__all__ = ["Activation", "Cost", "DivergenceError", "History", "Network", "RowSource", "callbacks",
           "datasets", "optimizers", "schedules", "show_config", "train_many"]
