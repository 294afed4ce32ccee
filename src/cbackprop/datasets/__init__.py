"""Training data: MNIST, readers for common files, and one-hot labels.

Everything here needs NumPy alone; downloading the full MNIST needs the extra
``data`` (``pip install 'cbackprop[data]'``).
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
