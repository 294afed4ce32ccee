"""How many neurons are saturated, and how fast each layer learns, over the epochs."""

from __future__ import annotations

from typing import Any

from cbackprop._check import instance
from cbackprop.inspect import Saturation
from cbackprop.plot import _axes

ROOM = (2.6, 2.6)  # for a panel; where there is less, letters are smaller


def saturation(record: Saturation, ax: Any = None) -> Any:
    """
    Draw how many neurons of each layer are saturated, epoch by epoch, and how fast it learns.

    Parameters
    ----------
    record : Saturation
        A callback from `cbackprop.inspect` that `Network.SGD` has called.
    ax : matplotlib Axes, optional
        The Axes whose place the picture takes; by default a new figure.

    Returns
    -------
    array of matplotlib Axes
        The Axes of the shares. If the callback was given y, the second Axes show the length of
        delta, the gradient with respect to a layer's biases, on a logarithmic axis. Epoch 0 is
        before training.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another class, or the callback has not been called.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> (x, y), _ = cbackprop.datasets.load_mnist()
    >>> record = cbackprop.inspect.Saturation(x[:100], y[:100])
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 2, 10, 3.0, callbacks=[record])
    >>> [ax.get_ylabel() for ax in cbackprop.plot.saturation(record)]
    ["share of sigma'(z) below 0.01", 'length of delta']
    """
    instance("record", record, Saturation)
    if not record.share:
        raise ValueError("record must have been in the callbacks of a training, got an empty one")
    kinds = [(f"share of sigma'(z) below {record.threshold:g}", record.share)]
    if record.speed:
        kinds.append(("length of delta", record.speed))
    with _axes.letters(ax, ROOM[0] * len(kinds), ROOM[1]):
        panels = _axes.grid(ax, 1, len(kinds), (4.2 * len(kinds), 4.0)).subplots(squeeze=False)[0]
        layers = len(record.share[0])
        for panel, (label, values) in zip(panels, kinds, strict=True):
            lines = [_axes.line(panel, 0, of_layer, layer, tone, f"layer {layer}")
                     for layer, (of_layer, tone) in enumerate(
                         zip(zip(*values, strict=True), _axes.colors(layers), strict=True))]
            panel.set_ylabel(label)
            _axes.epoch_axis(panel)
        if any(map(any, record.speed)):  # otherwise nothing has a logarithm
            panels[1].set_yscale("log")
        panels[0].set_ylim(bottom=0)
        _axes.legend(panels[0], lines)
    return panels
