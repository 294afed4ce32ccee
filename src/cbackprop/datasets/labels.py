"""Labels as target vectors."""

import numpy as np
from numpy.typing import ArrayLike


def one_hot(y: ArrayLike, num_classes: int) -> np.ndarray:
    """Turn labels into unit vectors.

    Parameters
    ----------
    y : array_like of int, shape (n,)
        Labels from 0 to ``num_classes - 1``.
    num_classes : int
        The number of classes, at least 1.

    Returns
    -------
    ndarray of float32, shape (n, num_classes)
        Row `i` is 1 in column ``y[i]`` and 0 elsewhere.

    Raises
    ------
    ValueError
        If `y` is not one row of integers, or a label lies outside the classes.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape (n,), got {labels.dtype} of shape {labels.shape}"
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.size:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {outside[0]}")
    vectors = np.zeros((len(labels), num_classes), np.float32)
    vectors[np.arange(len(labels)), labels] = 1
    return vectors
