"""The book's expanded training data: every image, also moved by a pixel in four directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays
from cbackprop.sources import RowSource

MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))  # pixels down, and to the right


class Expanded(RowSource):
    """
    Images, and their copies moved by a pixel down, up, right and left; see `expand`.

    Attributes
    ----------
    x, y : arrays
        As given.
    shape : tuple of int
        Height and width of an image.
    """

    def __init__(self, x: NDArray[Any], y: NDArray[Any], shape: tuple[int, int]) -> None:
        self.x, self.y, self.shape = x, y, shape

    def __len__(self) -> int:
        return len(MOVES) * len(self.x)

    def __repr__(self) -> str:
        return f"<{len(self)} images, {len(self.x)} of them {len(MOVES)} times>"

    def take(self, indices: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return these examples: i is image i mod n, in move i // n."""
        moves, which = np.divmod(indices, len(self.x))
        x = np.zeros((len(indices), self.x.shape[1]), self.x.dtype)
        images = x.reshape(-1, *self.shape)
        for move, (down, right) in enumerate(MOVES):
            # In memory a move is a shift; pixels that wrap around the sides are cleared.
            where, distance = np.flatnonzero(moves == move), down * self.shape[1] + right
            rows = self.x[which[where]]
            if distance > 0:
                x[where, distance:] = rows[:, :-distance]
            else:
                x[where, :x.shape[1] + distance] = rows[:, -distance:]
            if right:
                images[where, :, 0 if right > 0 else -1] = 0
        return x, self.y[which]


def expand(x: ArrayLike, y: ArrayLike, shape: tuple[int, int] = (28, 28)) -> Expanded:
    """
    Expand images fivefold: each unchanged, and moved by a pixel in four directions.

    Pixels that move in at an edge are zero. The images are made when `Network.SGD` asks for them, a
    few thousand at a time, from x, which is not copied.

    Parameters
    ----------
    x : array of shape (n, height times width)
    y : array of shape (n,) or (n, out)
    shape : (height, width)

    Returns
    -------
    Expanded
        Training data for `Network.SGD`, of 5 n examples.

    Raises
    ------
    TypeError, ValueError
        If x is not rows of such images, or y does not match it.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> training_data = expand(x, y)
    >>> len(training_data)
    25000
    >>> tiny = expand([[1, 2, 3, 4]], [7], shape=(2, 2))
    >>> tiny.take(np.arange(5))[0].tolist()
    [[1, 2, 3, 4], [0, 0, 1, 2], [3, 4, 0, 0], [0, 1, 0, 3], [2, 0, 4, 0]]
    """
    try:
        height, width = (_check.integer("shape", side, 1) for side in shape)
    except TypeError:
        raise TypeError(f"shape must be (height, width), got {_check.shown(shape)}") from None
    except ValueError:
        raise ValueError(f"shape must be (height, width), got {_check.shown(shape)}") from None
    images, targets = arrays.numbers(x, "x"), arrays.numbers(y, "y")
    if images.ndim != 2 or images.shape[1] != height * width:
        raise ValueError(f"x must have {height} * {width} = {height * width} columns, "
                         f"got shape {images.shape}")
    if targets.ndim not in (1, 2) or len(targets) != len(images):
        raise ValueError(f"y must be labels or rows for the {len(images)} rows of x, "
                         f"got shape {targets.shape}")
    return Expanded(images, targets, (height, width))
