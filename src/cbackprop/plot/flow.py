"""One example on its way through a network, and its errors on their way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop._check import index, instance
from cbackprop.inspect import Trace
from cbackprop.plot import _axes

MAX_NUMBERED = 12  # neurons: more get a few round numbers


def flow(
    trace: Trace, example: int = 0, *, shape: tuple[int, int] | None = None, ax: Any = None
) -> Any:
    """
    Draw the activations of one example, layer by layer, and below them its errors.

    Parameters
    ----------
    trace : Trace
        The result of `cbackprop.inspect.trace`.
    example : int
        The index of the example in the trace.
    shape : (int, int), optional
        Height and width of x as an image. By default, 64 or more inputs are a square image, and
        fewer are bars.
    ax : matplotlib Axes, optional
        The Axes whose place the picture takes; by default a new figure.

    Returns
    -------
    array of matplotlib Axes, of shape (2, layers)
        The upper row has x and each `trace.a`, with y as circles in the last. The lower row has a
        text with the outputs and the cost, and each `trace.delta`.

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
    pixels = _axes.image_shape(shape, trace.x.shape[1], _axes.MIN_IMAGE_INPUTS)
    layers = len(trace.a)
    panels = _axes.grid(ax, 2, layers + 1, (1.9 * layers + 2, 4.8)).subplots(squeeze=False)
    first, words = panels[:, 0]
    if pixels:
        _axes.hide_frame(first)
        first.imshow(trace.x[i].reshape(pixels), cmap=_axes.COLORMAP, interpolation="nearest")
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
    """Describe the target, the output and the cost."""
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
    """Draw one bar for each neuron, the first at the top."""
    from matplotlib.ticker import MaxNLocator

    neurons = np.arange(len(values))
    edges = np.stack((neurons - 0.4, neurons + 0.4), axis=1).ravel()
    heights = np.full(2 * len(values) - 1, np.nan)  # nothing between bars
    heights[::2] = values
    ax.stairs(heights, edges, orientation="horizontal", fill=True, color="0.35")
    ax.set_ylim(len(values) - 0.4, -0.6)
    if len(values) <= MAX_NUMBERED:
        ax.set_yticks(neurons)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(MAX_NUMBERED - 2, integer=True))
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
