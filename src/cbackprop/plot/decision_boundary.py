"""What a network with two inputs answers, all over the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, metrics
from cbackprop.inspect import _arguments
from cbackprop.plot import _axes

POINTS = 200  # of the grid, in each direction
MARGIN = 0.1  # of the data's range, beyond it
LEVELS = 8  # lines of equal output, for numbers


def decision_boundary(
    net: Any, data: Any, *, points: int = POINTS, ax: Any = None
) -> Any:
    """
    Draw what a network with two inputs answers, and the examples.

    For classes, a line is where the answer changes, and regions have a tint each; examples have the
    marker of their class. For numbers, lines of equal output have their values.

    Parameters
    ----------
    net : Network or estimator
        It has two inputs.
    data : (x, y), or another data set that `Network.SGD` takes
        For an estimator, y is as its `fit` takes it.
    points : int
        The number of points of the grid in each direction.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If an argument or the data is bad, or the network has other inputs.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> net = cbackprop.Network([2, 4, 2], seed=0)
    >>> ax = cbackprop.plot.decision_boundary(net, (x, y))
    >>> ax.get_xlabel(), len(ax.collections)  # the regions, their border, and two classes
    ('x[0]', 4)
    """
    names = getattr(net, "classes_", None)
    made, given = _arguments.network(net), _arguments.data_set(net, data)
    names = made.classes if names is None else names
    if made.sizes[0] != 2:
        raise ValueError(f"net must have two inputs, got {made.sizes[0]}")
    points = _check.integer("points", points, 2)
    engine = made.engine
    examples = engine.examples(given, "data")
    kind = metrics.kind_for(engine, examples, made.trained_on)
    rows, targets = next(iter(examples.all()))
    x = np.asarray(rows.x)
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    spare = MARGIN * np.where(high > low, high - low, 1.0)
    across, up = (np.linspace(a, b, points) for a, b in
                  zip(low - spare, high + spare, strict=True))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    a = made.feedforward(grid)
    ax = _axes.axes(ax, (5.2, 4.6))
    if kind.name == metrics.CLASSES:
        _regions(ax, across, up, metrics.decided(a, kind).reshape(points, points))
        wanted = metrics.wanted(targets.y, kind)
        found = np.unique(wanted)
        for label, tone in zip(found, _axes.colors(len(found)), strict=True):
            of = wanted == label
            ax.scatter(*x[of].T, s=22, color=[tone], marker=_axes.MARKERS[label % 7],
                       edgecolors=[ax.get_facecolor()], linewidths=0.5,
                       label=str(label if names is None else names[label]))
        if len(found) <= 10:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=min(5, len(found)),
                      frameon=False)
    else:
        lines = ax.contour(across, up, a[:, 0].reshape(points, points), LEVELS,
                           colors=[_axes.ink()], linewidths=0.8)
        ax.clabel(lines, fontsize="small")
        ax.scatter(*x.T, s=12, c=np.asarray(targets.y)[:, 0], cmap=_axes.greys(),
                   edgecolors=[_axes.ink()], linewidths=0.5)
    ax.set(xlabel="x[0]", ylabel="x[1]", xlim=across[[0, -1]], ylim=up[[0, -1]])
    return ax


def _regions(ax: Any, across: NDArray[Any], up: NDArray[Any], answers: NDArray[Any]) -> None:
    """Draw regions of equal answers in tints, and their borders."""
    most = max(1, int(answers.max()))
    ax.contourf(across, up, answers, levels=np.arange(most + 2) - 0.5, cmap=_axes.greys(),
                vmin=-0.5, vmax=3 * most + 2)
    ax.contour(across, up, answers, levels=np.arange(most) + 0.5, colors=[_axes.ink()],
               linewidths=1.2)
