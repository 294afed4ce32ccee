"""How the cost goes while the learning rate grows."""

from __future__ import annotations

from typing import Any

from cbackprop._check import instance
from cbackprop.inspect import FoundEta
from cbackprop.plot import _axes


def find_eta(found: FoundEta, ax: Any = None) -> Any:
    """
    Draw the cost over the learning rate, and the rate that is suggested.

    Parameters
    ----------
    found : FoundEta
        The result of `inspect.find_eta`.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError
        If an argument is of another class.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> training_data, _ = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> ax = cbackprop.plot.find_eta(cbackprop.inspect.find_eta(net, training_data))
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()
    ('eta', 'cost', 'log')
    """
    instance("found", found, FoundEta)
    ax = _axes.axes(ax)
    dark, light = _axes.colors(2)
    lines = [
        ax.plot(found.etas, found.costs, color=dark, label="cost")[0],
        ax.plot(found.etas, found.batch_costs, ".", color=light, markersize=3,
                label="of each mini-batch")[0],
        ax.axvline(found.suggestion, color=dark, linestyle="--",
                   label=f"suggested: {found.suggestion:.2g}"),
    ]
    high = found.costs[:found.costs.argmin() + 1].max()  # beyond it everything rises
    low = min(found.batch_costs.min(), found.costs.min())
    ax.set(xlabel="eta", ylabel="cost", xscale="log",
           ylim=(low - 0.1 * (high - low), high + 0.5 * (high - low)))
    _axes.legend(ax, lines)
    return ax
