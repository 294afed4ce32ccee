"""The book's mnist_loader.py: MNIST in its three parts, as arrays or as lists of pairs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _words, datasets
from cbackprop.book.formulas import vectorized_result

__all__ = ["load_data", "load_data_wrapper", "np", "vectorized_result"]

# Where the book's scripts, run in their folder, and those of the Python 3 forks have it.
PLACES = Path("..", "data", "mnist.pkl.gz"), Path("mnist.pkl.gz")

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]
List = list[tuple[NDArray[Any], Any]]


def load_data() -> tuple[Arrays, Arrays, Arrays]:
    """
    Return 50,000 training, 10,000 validation and 10,000 test images, and their labels.

    They are read from ``../data/mnist.pkl.gz``, the book's file, or from ``mnist.pkl.gz``, if one
    of them exists. Otherwise they come from `cbackprop.datasets.load_mnist`, which finds MNIST or
    downloads it. The numbers are the same. If it can do neither, a UserWarning says so, and the
    6,000 digits that come with the package take their place: 4,000, 1,000 and 1,000.

    Returns
    -------
    training_data, validation_data, test_data : tuples of two arrays
        Images, float32 (n, 784), whole multiples of 1/256 from 0 up to 255/256; labels (n,).

    Raises
    ------
    ValueError
        If a file is found but is not what its name says.
    """
    for place in PLACES:
        if place.is_file():
            return datasets.read_mnist_pickle(place)
    try:
        (x, y), (x_test, y_test) = datasets.load_mnist(full=True)
    except FileNotFoundError:
        (x, y), (x_test, y_test) = datasets.load_mnist()
        _words.warn("MNIST is neither found nor downloaded: these are the 6,000 digits that come "
                    "with the package; load_mnist(full=True) says what is missing")
    images, test_images = (pixels * np.float32(1 / 256) for pixels in (x, x_test))
    n = len(x) - len(x_test)
    return (images[:n], y[:n]), (images[n:], y[n:]), (test_images, y_test)


def load_data_wrapper() -> tuple[List, List, List]:
    """
    Return `load_data`'s three parts as lists of pairs.

    Returns
    -------
    training_data : list of (x, y)
        x is a column (784, 1), y `vectorized_result` of the label.
    validation_data, test_data : lists of (x, label)

    Raises
    ------
    ValueError
        As `load_data`.
    """
    training, validation, test = load_data()
    return (_pairs(training[0], map(vectorized_result, training[1])), _pairs(*validation),
            _pairs(*test))


def _pairs(x: ArrayLike, y: Iterable[Any]) -> List:
    """Return pairs of a column and its y; x may be a list of rows, from a script's `load_data`."""
    rows = np.asarray(x)
    return list(zip(rows.reshape(len(rows), -1, 1), y, strict=True))
