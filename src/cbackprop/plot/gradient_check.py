"""Derivatives by backpropagation against differences of the cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbackprop._check import instance
from cbackprop.inspect import GradientCheck
from cbackprop.plot import _axes

SIZE = (8.0, 4.2)
ROOM = (5.5, 2.6)  # where there is less, letters are smaller
TICK = 45  # points across that a number of an axis takes


def gradient_check(result: GradientCheck, ax: Any = None) -> Any:
    """
    Draw each derivative by backpropagation against that by differences, and the relative errors.

    A ring marks the largest error, and the legend names its parameter. An error of 0 has no place
    on a logarithmic axis: the label below counts them.

    Parameters
    ----------
    result : GradientCheck
        The result of `cbackprop.inspect.gradient_check`.
    ax : matplotlib Axes, optional
        The Axes whose place the picture takes; by default a new figure.

    Returns
    -------
    array of matplotlib Axes
        The Axes of the derivatives, and those of the errors with the tolerance as a line.

    Raises
    ------
    TypeError
        If an argument is of another class.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> result = cbackprop.inspect.gradient_check(net, [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]])
    >>> derivatives, errors = cbackprop.plot.gradient_check(result)
    >>> derivatives.get_xlabel(), errors.get_yscale()
    ('by differences, (46)', 'log')
    """
    instance("result", result, GradientCheck)
    with _axes.letters(ax, *ROOM):
        left, right = panels = _axes.grid(ax, 1, 2, SIZE).subplots(squeeze=False)[0]
        layers = np.array([place.layer for place in result.places])
        sizes = np.maximum(abs(result.backprop), abs(result.differences))
        found = list(np.unique(layers))
        for layer, tone in zip(found, _axes.colors(len(found)), strict=True):
            of, drawn = layers == layer, (layers == layer) & (result.errors > 0)
            style = {"linestyle": "none", "marker": _axes.MARKERS[layer % len(_axes.MARKERS)],
                     "color": tone, "markerfacecolor": "none", "markersize": 4,
                     "markeredgewidth": 0.7, "rasterized": True, "label": f"layer {layer}"}
            left.plot(result.differences[of], result.backprop[of], **style)
            right.plot(sizes[drawn], result.errors[drawn], **style)
        worst = int(result.errors.argmax())
        ring = {"linestyle": "none", "marker": "o", "color": _axes.ink(), "markerfacecolor": "none",
                "markersize": 12, "markeredgewidth": 1.5,
                "label": f"worst: {result.where}, {result.worst:.1e}"}
        left.plot(result.differences[worst], result.backprop[worst], **ring)
        right.plot(*((sizes[worst], result.worst) if result.worst > 0 else ([], [])), **ring)
        left.axline((0, 0), slope=1, color="0.6", linewidth=0.8, zorder=0)
        left.set(xlabel="by differences, (46)", ylabel="by backpropagation")
        left.locator_params(axis="x", nbins=max(2, min(5, int(_axes.points(left)[0] / TICK))))
        right.axhline(result.tolerance, color=_axes.ink(), linewidth=1, linestyle="--",
                      label=f"tolerance {result.tolerance:g}")
        none = int((result.errors == 0).sum())
        if result.worst > 0:  # otherwise nothing has a logarithm
            right.set(xscale="log", yscale="log")
        right.set(ylabel="relative error",
                  xlabel="size of the derivative" + f"\n({none:,} have no error)" * (none > 0))
        for panel in panels:
            panel.margins(0.08)
        _axes.legend(left, left.get_lines()[:len(found)])
        _axes.legend(right, right.get_lines()[len(found):], ncols=1)
    return panels
