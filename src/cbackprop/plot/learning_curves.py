"""Costs and accuracies over the epochs."""

from __future__ import annotations

from typing import Any

from cbackprop._check import instance
from cbackprop.history import History
from cbackprop.plot import _axes


def learning_curves(history: History, ax: Any = None) -> Any:
    """
    Draw costs (left axis, filled markers) and accuracies (right axis, hollow markers).

    Parameters
    ----------
    history : History
        The result of `Network.SGD`; every cost and accuracy in it is drawn.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes of the costs.

    Raises
    ------
    TypeError
        If an argument is of another class.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> training_data, test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD(training_data, 2, 10, eta=0.5, test_data=test_data)
    >>> ax = cbackprop.plot.learning_curves(history)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('epoch', 'cost')
    """
    instance("history", history, History)
    ax = _axes.axes(ax)
    names = [name for name in history.recorded if name.endswith(("cost", "accuracy"))]
    sides, lines = {"cost": ax}, []
    for which, (name, tone) in enumerate(
            zip(names, _axes.colors(len(names)), strict=True)):
        kind = "cost" if name.endswith("cost") else "accuracy"
        if kind not in sides:
            sides[kind] = ax.twinx()
            sides[kind].spines["right"].set_visible(True)
        lines.append(_axes.line(
            sides[kind], 1, history.series(name), which, tone, name.replace("_", " "),
            markerfacecolor=tone if kind == "cost" else "white"))
    for kind, side in sides.items():
        side.set_ylabel(kind)
    _axes.epoch_axis(ax)
    # Two columns are as wide as the Axes of a usual figure.
    _axes.legend(ax, lines)
    return ax
