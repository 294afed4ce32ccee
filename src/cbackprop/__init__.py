"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

from cbackprop import datasets
from cbackprop.config import show_config
from cbackprop.functions import Activation, Cost
from cbackprop.network import DivergenceError, History, Network

__version__ = "0.2.0"
__all__ = ["Activation", "Cost", "DivergenceError", "History", "Network", "datasets",
           "show_config"]
