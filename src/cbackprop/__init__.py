"""Dense neural networks trained by backpropagation, at the speed of the CPU."""

from importlib.metadata import version as _version

from cbackprop import datasets
from cbackprop.config import show_config
from cbackprop.network import DivergenceError, History, Network

__version__ = _version("cbackprop")
__all__ = ["DivergenceError", "History", "Network", "datasets", "show_config"]
