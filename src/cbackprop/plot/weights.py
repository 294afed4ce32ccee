"""The weights into each neuron of a layer, as images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop.inspect import _arguments
from cbackprop.network import Network
from cbackprop.plot import _axes

GAP = 1  # pixels between images
MAX_TICKS = 20
SCALE_QUANTILE = 0.995  # of the weights: the few largest alone would make the others pale


def weights(
    net: Network, layer: int = 0, *, shape: tuple[int, int] | None = None,
    neurons: Sequence[int] | None = None, ax: Any = None,
) -> Any:
    """
    Draw the weights into each neuron of a layer as an image; the most negative are darkest.

    The scale is symmetric, so that 0 is the same grey in every picture. One weight in two hundred
    may lie beyond its ends; it has the colour of the end.

    Parameters
    ----------
    net : Network or estimator
    layer : int
        The index of a layer in `net.weights`.
    shape : (int, int), optional
        Height and width of the images; by default square.
    neurons : sequence of int, optional
        The neurons to draw, in one row. By default all, row by row; the number of a neuron is then
        the number at its row plus the number at its column.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the layer or a neuron does not exist, or its inputs do not form an image of this shape.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> ax = cbackprop.plot.weights(cbackprop.Network([784, 30, 10], seed=0))
    >>> ax.images[0].get_array().shape  # three rows of ten, and the gaps
    (86, 289)
    """
    net = _arguments.network(net)
    layer = _arguments.layer(net, layer)
    w = net.weights[layer]
    pixels = _axes.image_shape(shape, w.shape[1])
    if pixels is None:
        raise ValueError(f"shape must be given where inputs are no square, got None for the "
                         f"{w.shape[1]} of layer {layer}")
    if neurons is not None:
        rule = "neurons must be a sequence of at least one integer"
        if not (neurons := _check.items(neurons, rule)):
            raise TypeError(f"{rule}, got {_check.shown(neurons)}")
        w = w[[_arguments.neuron(net, "each of neurons", layer, j) for j in neurons]]
    # Tens, so that a row's number plus a column's is easy to add.
    columns = len(w) if neurons is not None else min(len(w), 10 * math.ceil(len(w)**0.5 / 10))
    rows = -(-len(w) // columns)
    size = max(4.0, min(0.6, 8 / columns) * columns + 1.2)
    ax = _axes.axes(ax, (size, max(2.0, (size - 1.2) * rows * pixels[0] / columns / pixels[1]
                                    + 0.6)))
    limit = float(np.quantile(np.abs(w), SCALE_QUANTILE)) or float(np.abs(w).max()) or 1.0
    drawn = ax.imshow(_mosaic(w.reshape(-1, *pixels), columns), cmap=_axes.SIGNED_COLORMAP,
                      vmin=-limit, vmax=limit, interpolation="nearest")
    _axes.hide_frame(ax)
    ax.tick_params(length=0)
    width, letter = _axes.points(ax)[0], _axes.letter()
    columnwise = neurons or range(columns)
    room = int(width / (letter * (len(str(max(columnwise))) + 1)))
    _number(ax.xaxis, columnwise, pixels[1], min(MAX_TICKS, max(1, room)))
    if rows > 1:
        _number(ax.yaxis, range(0, len(w), columns), pixels[0], MAX_TICKS)
    ax.set_xlabel(f"neuron of layer {layer}" + ": row + column" * (rows > 1))
    _axes.colorbar(ax, drawn, "weight", extend="both")
    return ax


def _mosaic(images: NDArray[Any], columns: int) -> NDArray[Any]:
    """Lay out images `(n, height, width)` in rows, with NaN in between."""
    n, height, width = images.shape
    rows = -(-n // columns)
    tiles = np.full((rows * columns, height + GAP, width + GAP), np.nan, images.dtype)
    tiles[:n, :height, :width] = images
    rowwise = tiles.reshape(rows, columns, height + GAP, width + GAP).swapaxes(1, 2)
    return rowwise.reshape(rows * (height + GAP), -1)[:-GAP, :-GAP]


def _number(axis: Any, numbers: Sequence[int], pixels: int, most: int) -> None:
    """Write the numbers at the middles of images; if there are many, write some of them."""
    shown = range(0, len(numbers), -(-len(numbers) // most))
    axis.set_ticks([at * (pixels + GAP) + (pixels - 1) / 2 for at in shown],
                   [str(numbers[at]) for at in shown])
