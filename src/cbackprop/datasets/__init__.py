"""Training data: MNIST, readers for common files, and one-hot labels.

Everything here needs NumPy alone.
"""

from .expand import Expanded, expand
from .labels import one_hot
from .mnist import load_mnist
from .readers import read_csv, read_idx, read_mnist_pickle, read_npz
from .sources import load

__all__ = [
    "Expanded",
    "expand",
    "load",
    "load_mnist",
    "one_hot",
    "read_csv",
    "read_idx",
    "read_mnist_pickle",
    "read_npz",
]
