"""What is inside a network: its weights, and one example on its way through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop._check import index, instance
from cbackprop.inspect import Trace, given
from cbackprop.network import Network
from cbackprop.plot import canvas

GAP = 1  # pixels between images
MOST_TICKS = 20
FEW = 12  # neurons that are all numbered
SHOWN = 0.995  # share of weights that the scale tells apart; the few largest would make it pale


def weights(
    net: Network, layer: int = 0, *, shape: tuple[int, int] | None = None,
    neurons: Sequence[int] | None = None, ax: Any = None,
) -> Any:
    """
    Draw the weights into each neuron of a layer as an image: darkest the most negative.

    The scale is symmetric, so that 0 is the same grey in every picture. One weight in two hundred
    may lie beyond its ends; it looks like the end.

    Parameters
    ----------
    net : Network or estimator
    layer : int
        Which of `net.weights`.
    shape : (int, int), optional
        Height and width of the images; by default square.
    neurons : sequence of int, optional
        Which, in one row. By default all, row by row; the number of a neuron is then that of its
        row plus that of its column.
    ax : matplotlib Axes, optional
        What to draw on; by default that of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the layer or a neuron does not exist, or its inputs are not an image of this shape.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> ax = cbackprop.plot.weights(cbackprop.Network([784, 30, 10], seed=0))
    >>> ax.images[0].get_array().shape  # three rows of ten, and the gaps
    (86, 289)
    """
    net = given.network(net)
    layer = given.layer(net, layer)
    w = net.weights[layer]
    pixels = canvas.image_shape(shape, w.shape[1])
    if pixels is None:
        raise ValueError(f"shape must be given where inputs are no square, got None for the "
                         f"{w.shape[1]} of layer {layer}")
    if neurons is not None:
        rule = "neurons must be a sequence of at least one integer"
        if not (neurons := _check.items(neurons, rule)):
            raise TypeError(f"{rule}, got {_check.shown(neurons)}")
        w = w[[given.neuron(net, "each of neurons", layer, j) for j in neurons]]
    # Tens, so that a row's number plus a column's is easy to add.
    columns = len(w) if neurons is not None else min(len(w), 10 * math.ceil(len(w)**0.5 / 10))
    rows = -(-len(w) // columns)
    size = max(4.0, min(0.6, 8 / columns) * columns + 1.2)
    ax = canvas.axes(ax, (size, max(2.0, (size - 1.2) * rows * pixels[0] / columns / pixels[1]
                                    + 0.6)))
    limit = float(np.quantile(np.abs(w), SHOWN)) or float(np.abs(w).max()) or 1.0
    drawn = ax.imshow(_mosaic(w.reshape(-1, *pixels), columns), cmap=canvas.SIGNED, vmin=-limit,
                      vmax=limit, interpolation="nearest")
    canvas.bare(ax)
    ax.tick_params(length=0)
    _number(ax.xaxis, neurons or range(columns), pixels[1])
    if rows > 1:
        _number(ax.yaxis, range(0, len(w), columns), pixels[0])
    ax.set_xlabel(f"neuron of layer {layer}" + ": row + column" * (rows > 1))
    canvas.scale(ax, drawn, "weight", extend="both")
    return ax


def _mosaic(images: NDArray[Any], columns: int) -> NDArray[Any]:
    """Lay images `(n, height, width)` out in rows; what is between them is NaN."""
    n, height, width = images.shape
    rows = -(-n // columns)
    tiles = np.full((rows * columns, height + GAP, width + GAP), np.nan, images.dtype)
    tiles[:n, :height, :width] = images
    rowwise = tiles.reshape(rows, columns, height + GAP, width + GAP).swapaxes(1, 2)
    return rowwise.reshape(rows * (height + GAP), -1)[:-GAP, :-GAP]


def _number(axis: Any, numbers: Sequence[int], pixels: int) -> None:
    """Write these numbers at the middles of images, not all if they are many."""
    shown = range(0, len(numbers), -(-len(numbers) // MOST_TICKS))
    axis.set_ticks([at * (pixels + GAP) + (pixels - 1) / 2 for at in shown],
                   [str(numbers[at]) for at in shown])


def flow(
    trace: Trace, example: int = 0, *, shape: tuple[int, int] | None = None, ax: Any = None
) -> Any:
    """
    Draw one example's activations, layer by layer, and below them its errors on their way back.

    Parameters
    ----------
    trace : Trace
        What `cbackprop.inspect.trace` returned.
    example : int
        Which of its examples.
    shape : (int, int), optional
        Height and width of x as an image; by default square, from 64 inputs on, else bars.
    ax : matplotlib Axes, optional
        What to draw in the place of; by default a new figure.

    Returns
    -------
    array of matplotlib Axes, of shape (2, layers)
        Above, x and each `trace.a`, with y as circles in the last; below, words on the outputs and
        the cost, and each `trace.delta`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another class, or there is no such example.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> panels = cbackprop.plot.flow(cbackprop.inspect.trace(net, [0.0, 1.0], [1.0]))
    >>> panels.shape, panels[1, 2].get_title(loc="left")
    ((2, 3), 'delta[1]')
    """
    instance("trace", trace, Trace)
    i = index("example", example, len(trace), f"there are {len(trace)} examples")
    pixels = canvas.image_shape(shape, trace.x.shape[1], canvas.LEAST_IMAGE)
    layers = len(trace.a)
    panels = canvas.grid(ax, 2, layers + 1, (1.9 * layers + 2, 4.8)).subplots(squeeze=False)
    first, words = panels[:, 0]
    if pixels:
        canvas.bare(first)
        first.imshow(trace.x[i].reshape(pixels), cmap=canvas.INK, interpolation="nearest")
    else:
        _bars(first, trace.x[i])
    first.set_title(f"x[{i}]", loc="left")
    words.set_axis_off()
    words.text(0, 0.95, _about(trace, i), va="top", transform=words.transAxes)
    for layer, (above, below) in enumerate(panels[:, 1:].T):
        delta = trace.delta[layer][i]
        _bars(above, trace.a[layer][i])
        _bars(below, delta, signed=True)
        above.set_title(f"a[{layer}]", loc="left")
        below.set_title(f"delta[{layer}]", loc="left")
        below.set_xlabel(f"length {np.linalg.norm(delta):.2g}")
    above.plot(trace.y[i], range(trace.y.shape[1]), "o", color="black", markerfacecolor="none",
               markersize=5, clip_on=False)
    for panel in panels[:, 1]:
        panel.set_ylabel("neuron")
    for way, style in ((panels[0, :-1], "->"), (panels[1, 1:-1], "<-")):
        for panel in way:
            panel.annotate("", (1, 1.06), (0.65, 1.06), xycoords="axes fraction",
                           arrowprops={"arrowstyle": style, "linewidth": 1.2})
    return panels


def _about(trace: Trace, i: int) -> str:
    """Say what the outputs should be and are, and the cost."""
    words = []
    target, output = trace.y[i], trace.a[-1][i]
    if len(target) == 1:
        words += [f"target (circle) {target[0]:.3g}", f"output {output[0]:.3g}"]
    elif np.count_nonzero(target) == 1 == target.max():
        words += [f"target {target.argmax()} (circles)",
                  f"output {output.argmax()}: {output.max():.3g}"]
    words.append(f"cost {trace.cost:.3g}" + f",\nmean of {len(trace)}" * (len(trace) > 1))
    return "\n".join(words)


def _bars(ax: Any, values: NDArray[Any], signed: bool = False) -> None:
    """Draw a bar for each neuron, the first on top."""
    from matplotlib.ticker import MaxNLocator

    neurons = np.arange(len(values))
    edges = np.stack((neurons - 0.4, neurons + 0.4), axis=1).ravel()
    heights = np.full(2 * len(values) - 1, np.nan)  # between bars, nothing
    heights[::2] = values
    ax.stairs(heights, edges, orientation="horizontal", fill=True, color="0.35")
    ax.set_ylim(len(values) - 0.4, -0.6)
    if len(values) <= FEW:
        ax.set_yticks(neurons)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(FEW - 2, integer=True))
    if signed:
        end = _one_digit(float(abs(values).max()))
        ax.set_xlim(-end, end)
        ax.set_xticks([-end, 0, end], ["\N{MINUS SIGN}" + f"{end:g}", "0", f"{end:g}"])
        ax.axvline(0, color="black", linewidth=0.8)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))


def _one_digit(value: float) -> float:
    """Return the next larger number of one digit; 1 for 0."""
    if value == 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")
