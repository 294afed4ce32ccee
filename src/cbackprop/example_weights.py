"""The weights of examples: their own, times those of their classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays


def weights(
    sample_weight: Any, class_weight: Any, y: NDArray[Any], classes: int, real: str
) -> NDArray[Any] | None:
    """
    Return one weight for each example, or None.

    Raises
    ------
    TypeError, ValueError
        If weights are negative or not finite, or of another number; or for classes that the
        network has not.
    """
    result = None
    if sample_weight is not None:
        array = arrays.numbers(sample_weight, "sample_weight")
        if array.shape != y.shape[:1]:
            raise ValueError(f"sample_weight must have shape ({y.shape[0]},), one for each "
                             f"example, got {array.shape}")
        result = arrays.finite(array, real, "sample_weight")
        if result.min() < 0:
            raise ValueError(f"sample_weight must not be negative, got {result.min():g}")
    if class_weight is not None:
        by_example = _by_class(class_weight, y, classes)[_labels(y)].astype(real)
        result = by_example if result is None else result * by_example
    return result


def not_all_zero(weights: NDArray[Any] | None, rows: str) -> NDArray[Any] | None:
    """
    Return the weights of rows that something is asked of, which must not all be 0.

    Raises
    ------
    ValueError
        If they are: it calls the rows by this name.
    """
    if weights is not None and not weights.any():
        raise ValueError(f"{rows} must not all weigh 0: sample_weight and class_weight leave "
                         f"nothing of {len(weights)} rows")
    return weights


def _labels(y: NDArray[Any]) -> NDArray[Any]:
    """Return each example's class: the largest target, or the larger of a single one's two."""
    if y.ndim == 1:
        return y
    if y.shape[1] > 1:
        return np.asarray(y.argmax(axis=1)).ravel()  # of a sparse matrix it is a column
    one = y.toarray() if arrays.is_sparse(y) else y
    low, high = one.min(), one.max()
    two = low < high and ((one == low) | (one == high)).all()  # such as -1 and 1, or 1 and 2
    return (one[:, 0] > ((low + high) / 2 if two else 0.5)).astype(int)


def _by_class(class_weight: Any, y: NDArray[Any], outputs: int) -> NDArray[Any]:
    counts = np.bincount(_labels(y), minlength=max(outputs, 2))
    if isinstance(class_weight, str) and class_weight == "balanced":
        return y.shape[0] / (np.maximum(counts, 1) * np.count_nonzero(counts))
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be 'balanced' or a dict of labels and weights, "
                        f"got {_check.shown(class_weight)}")
    by_class = np.ones(len(counts))
    for label, weight in class_weight.items():
        real = isinstance(label, (*_check.REAL, np.bool_))
        if not (real and 0 <= label < len(counts) and label == int(label)):
            raise ValueError(f"class_weight must be for classes in 0..{len(counts) - 1}, "
                             f"got {_check.shown(label)}")
        known = int(label)
        try:
            by_class[known] = float(weight)
        except (TypeError, ValueError, OverflowError):
            by_class[known] = math.nan
        if not (math.isfinite(by_class[known]) and by_class[known] >= 0):
            raise ValueError(f"class_weight must be finite and not negative, "
                             f"got {_check.shown(weight)} for class {known}")
    return by_class
