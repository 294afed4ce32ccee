"""A network as neurons and the edges between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop.inspect import Trace, _arguments
from cbackprop.plot import _axes

EDGES = ("w", "nabla_w")
MOST_NEURONS = 12  # of a layer; a wider one shows those with the largest edges
WIDEST_EDGE = 3.0  # points, for the largest of the network
DOT = 11.4  # points, of a neuron
ROW = 18.0  # points between neurons, from which there is room for a number above each
NARROWEST_SHARE = 0.02  # of the widest; thinner edges are not seen, and are left out


def network(
    net: Any, *, example: int = 0, edges: str = "w", most: int = MOST_NEURONS, ax: Any = None
) -> Any:
    """
    Draw a network: neurons by their activation, edges by their weight or by its derivative.

    An edge is the wider, the larger its number; dashes stand for a negative one. With a trace, a
    neuron is the darker, the larger its activation among those of its layer, and has the number
    above it.

    Parameters
    ----------
    net : Network, estimator or Trace
        A trace (`cbackprop.inspect.trace`) has activations and the gradient, too.
    example : int
        The index of the example in the trace.
    edges : {"w", "nabla_w"}
        The weights, or dC/dw of the trace, the mean over its examples.
    most : int
        The most neurons of a layer to draw. A wider layer shows those with the largest edges, and
        says how many it has.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If an argument is of another class, there is no such example, or the gradient is asked for
        without a trace.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> ax = cbackprop.plot.network(net)
    >>> [text.get_text() for text in ax.texts]
    ['inputs', 'layer 2', 'layer 3']
    """
    edges = _check.choice("edges", edges, EDGES)
    most = _check.integer("most", most, 2)
    if isinstance(net, Trace):
        trace = net
        i = _check.index("example", example, len(trace), f"there are {len(trace)} examples")
        values: list[Any] = [trace.x[i], *(a[i] for a in trace.a)]
        matrices = list(getattr(trace, edges))
    else:
        if edges != "w":
            raise ValueError(f"edges must be 'w' without a trace, got {edges!r}: "
                             f"inspect.trace(net, x, y) has the gradient")
        net = _arguments.network(net)
        values = [None] * len(net.sizes)
        matrices = list(net.weights)
    sizes = [matrices[0].shape[1], *(len(matrix) for matrix in matrices)]
    shown = [_shown(matrix, most) for matrix in _matrices_of_layers(matrices)]
    rows = max(map(len, shown))
    ax = _axes.axes(ax, (1.2 + 1.9 * len(sizes), 1.0 + 0.45 * rows))
    places = [(len(which) - 1) / 2 - np.arange(len(which)) for which in shown]
    ax.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-rows / 2 - 1.3, rows / 2 + 0.5))
    row = _axes.points(ax)[1] / (rows + 1.8)
    _draw_edges(ax, matrices, shown, places)
    for layer, (which, at, size, a) in enumerate(
            zip(shown, places, sizes, values, strict=True)):
        _draw_neurons(ax, layer, which, at, a, row)
        count = f"\n{len(which)} of {size:,}" * (len(which) < size)
        ax.text(layer, -rows / 2 - 0.2, ("inputs" if layer == 0 else f"layer {layer + 1}") + count,
                ha="center", va="top", fontsize="small")
    label = "edges: " + {"w": "w", "nabla_w": "dC/dw"}[edges] + ", dashed where it is negative"
    ax.set_title(label, fontsize="medium")
    ax.set_axis_off()
    return ax


def _matrices_of_layers(matrices: list[Any]) -> list[Any]:
    """Return the edges out of each layer's neurons, and into those of the last, as rows."""
    return [*(np.transpose(matrix) for matrix in matrices), matrices[-1]]


def _shown(edges: Any, most: int) -> NDArray[np.intp]:
    """Return the neurons that are drawn: all, or those with the largest edges, in their order."""
    largest = np.argsort(-np.abs(edges).max(axis=1), kind="stable")
    return np.sort(largest[:most])


def _draw_edges(
    ax: Any, matrices: list[Any], shown: list[NDArray[np.intp]], places: list[NDArray[Any]]
) -> None:
    from matplotlib.collections import LineCollection

    # The largest of a layer, not of the network: the gradient of the first may be tiny.
    segments, widths, dashes = [], [], []
    for layer, matrix in enumerate(matrices):
        drawn = np.asarray(matrix)[np.ix_(shown[layer + 1], shown[layer])]
        limit = float(np.abs(drawn).max()) or 1.0
        for (j, k), value in np.ndenumerate(drawn):
            if abs(value) >= NARROWEST_SHARE * limit:
                segments.append([(layer, places[layer][k]), (layer + 1, places[layer + 1][j])])
                widths.append(WIDEST_EDGE * abs(value) / limit)
                dashes.append("-" if value > 0 else (0, (3, 2)))
    ax.add_collection(LineCollection(segments, linewidths=widths, linestyles=dashes,
                                     colors=[_axes.ink()], alpha=0.55, zorder=1))


def _draw_neurons(
    ax: Any, layer: int, which: NDArray[np.intp], at: NDArray[Any], a: Any, row: float
) -> None:
    """Draw the neurons of a layer, so many points from each other."""
    import matplotlib
    from matplotlib.patheffects import withStroke

    background = matplotlib.rcParams["axes.facecolor"]
    tones: Any = [background] * len(which)
    if a is not None:
        values = np.asarray(a, dtype=float)[which]
        low, high = float(np.min(a)), float(np.max(a))
        tones = _axes.greys()((values - low) / ((high - low) or 1.0) * 0.85)
        for height, value in zip(at, values, strict=True) if row >= ROW else ():
            number = ax.annotate(
                f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}", (layer, height), (0, 8),
                textcoords="offset points", ha="center", va="bottom", fontsize="x-small", zorder=3)
            number.set_path_effects([withStroke(linewidth=2.5, foreground=background)])
    size = min(DOT, 0.7 * row)
    ax.scatter([layer] * len(which), at, s=size**2, c=tones, edgecolors=[_axes.ink()], zorder=2)
