"""Costs and other metrics over the epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbackprop._check import instance
from cbackprop.history import SETS, History
from cbackprop.plot import _axes

SIZE = (4.6, 3.8)  # of a panel, in inches
ROOM = (2.6, 2.2)  # where there is less for it, letters are smaller
TOGETHER = {  # metrics of one unit share a panel; others have one of their own
    "accuracy": "share", "balanced_accuracy": "share", "label_accuracy": "share",
    "top_5_accuracy": "share", "f1": "share", "mae": "error", "rmse": "error"}


def learning_curves(history: History, ax: Any = None) -> Any:
    """
    Draw costs and other metrics over the epochs, each unit in a panel, and mark the best epoch.

    A ring is around the best value of each curve of held-out or test data.

    Parameters
    ----------
    history : History
        The result of `Network.SGD`; every cost and metric in it is drawn.
    ax : matplotlib Axes, optional
        The Axes whose place the picture takes; by default a new figure.

    Returns
    -------
    array of matplotlib Axes
        The panel of the costs, then the others.

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
    >>> costs, accuracies = cbackprop.plot.learning_curves(history)
    >>> costs.get_xlabel(), accuracies.get_ylabel()
    ('epoch', 'accuracy')
    """
    instance("history", history, History)
    measured = dict(history.measured())
    names = list(measured) or ["cost"]
    units: dict[str, list[str]] = {"cost": []}
    for name in names:
        metric = _metric(name)
        units.setdefault(TOGETHER.get(metric, metric), []).append(name)
    with _axes.letters(ax, ROOM[0] * len(units), ROOM[1]):
        panels = _axes.grid(ax, 1, len(units), (SIZE[0] * len(units), SIZE[1])).subplots(
            squeeze=False)[0]
        tones = dict(zip(names, _axes.colors(len(names)), strict=True))
        for panel, of_unit in zip(panels, units.values(), strict=True):
            lines = []
            for name in of_unit:
                values = measured.get(name, [])
                lines.append(_axes.line(
                    panel, 1, values, names.index(name), tones[name], name.replace("_", " ")))
                if values and _set(name) not in ("", "training"):
                    epoch, best = history.best(name)
                    lines[-1].set_label(f"{lines[-1].get_label()}: {best:.4g} in epoch {epoch}")
                    panel.plot(epoch, best, "o", color=_axes.ink(), markerfacecolor="none",
                               markersize=12, markeredgewidth=1.5, clip_on=False)
            panel.set_ylabel(" and ".join(dict.fromkeys(
                _metric(name).replace("_", " ") for name in of_unit)))
            _axes.epoch_axis(panel)
            _axes.legend(panel, lines, ncols=1)
    return np.array(panels, dtype=object)


def _set(name: str) -> str:
    """Return the set of examples that an entry of the history is about; "" for the mini-batches."""
    of = name.partition("_")[0]
    return of if of in SETS else "" if name == "cost" else "test"


def _metric(name: str) -> str:
    """Return the entry's name without its set."""
    of, _, metric = name.partition("_")
    return metric if of in SETS else name
