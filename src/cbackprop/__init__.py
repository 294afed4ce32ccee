"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

from cbackprop import datasets, optimizers
from cbackprop.config import show_config
from cbackprop.network import DivergenceError, History, Network

__version__ = "0.2.0"
__all__ = ["DivergenceError", "History", "Network", "datasets", "optimizers", "show_config"]
