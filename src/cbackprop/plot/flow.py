"""One example on its way through a network, its errors on their way back, and the gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop._check import index, instance
from cbackprop.inspect import Trace
from cbackprop.plot import _axes

ROWS = ("w", "z", "a", "delta", "nabla_w")
NUMBER = 12  # points of height that the number of a neuron takes
FIGURES, DIGITS = 6, 4  # letters across that a number takes, and one of a neuron
WORD = 60  # points of height from which an axis has a name
ROOM = (1.6, 4.5)  # of a column; where there is less, letters are smaller


def flow(
    trace: Trace, example: int = 0, *, shape: tuple[int, int] | None = None, ax: Any = None
) -> Any:
    """
    Draw each layer's w, z and a, and below them its delta and the gradient of the example.

    The first three rows are read from left to right, as (25) goes, and the last two from right to
    left, as BP2 does. w and its gradient are images: a row is a neuron, a column is an input. Zero
    has the middle colour, and the darkest is the most negative; the number above at the right,
    if there is room for it, is where the colours end.

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
    array of matplotlib Axes, of shape (5, layers)
        The rows are `w`, `z`, `a`, `delta` and `nabla_w`, and a column is a layer. The first column
        is the inputs': x, and a text with the outputs and the cost. In the last, y are circles.

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
    >>> panels.shape, panels[3, 2].get_title(loc="left")
    ((5, 3), 'delta[1]')
    """
    instance("trace", trace, Trace)
    i = index("example", example, len(trace), f"there are {len(trace)} examples")
    pixels = _axes.image_shape(shape, trace.x.shape[1], _axes.MIN_IMAGE_INPUTS)
    layers = len(trace.a)
    with _axes.letters(ax, ROOM[0] * (layers + 1), ROOM[1]):
        panels = _axes.grid(ax, len(ROWS), layers + 1, (2.3 * layers + 2, 9.0)).subplots(
            squeeze=False)
        first, words = panels[2, 0], panels[3, 0]
        high = _axes.points(first)[1] >= WORD
        for panel in (*panels[:2, 0], *panels[3:, 0]):
            panel.set_axis_off()
        if pixels:
            _axes.hide_frame(first)
            first.imshow(trace.x[i].reshape(pixels), cmap=_axes.greys(), interpolation="nearest")
        else:
            _bars(first, trace.x[i])
        first.set_title(f"x[{i}]", loc="left")
        # What is below its Axes is empty: no room is to be made for it.
        words.text(0, 0.95, _about(trace, i), va="top", transform=words.transAxes, in_layout=False)
        before = [trace.x * trace.input_scale, *trace.a]
        for layer, column in enumerate(panels[:, 1:].T):
            delta = trace.delta[layer][i]
            nabla_w = np.outer(delta, before[layer][i])     # BP4, of this example alone
            for name, panel in zip(ROWS, column, strict=True):
                panel.set_title(f"{name}[{layer}]", loc="left")
            _image(column[0], trace.w[layer])
            _bars(column[1], trace.z[layer][i], signed=True)
            _bars(column[2], trace.a[layer][i])
            _bars(column[3], delta, signed=True)
            _image(column[4], nabla_w)
            if high:
                column[3].set_xlabel(f"length {np.linalg.norm(delta):.2g}")
        panels[2, -1].plot(trace.y[i], range(trace.y.shape[1]), "o", color=_axes.ink(),
                           markerfacecolor="none", markersize=5, clip_on=False)
        if high:
            for panel in panels[:, 1]:
                panel.set_ylabel("neuron")
        for way, style in ((panels[2, :-1], "->"), (panels[3, 1:-1], "<-")):
            for panel in way:
                panel.annotate("", (1, 1.06), (0.65, 1.06), xycoords="axes fraction",
                               arrowprops={"arrowstyle": style, "linewidth": 1.2,
                                           "color": _axes.ink()})
    return panels


def _image(ax: Any, values: NDArray[Any]) -> None:
    """Draw a matrix (neurons, inputs), with a scale that is the same for both signs."""
    limit = float(np.abs(values).max()) or 1.0
    ax.imshow(values, cmap=_axes.SIGNED_COLORMAP, vmin=-limit, vmax=limit, aspect="auto",
              interpolation="nearest")
    width, height = _axes.points(ax)
    name, scale = ax.get_title(loc="left"), f"\N{PLUS-MINUS SIGN}{limit:.2g}"
    if width >= _axes.letter() * (1.2 * len(name) + len(scale) + 1):
        ax.set_title(scale, loc="right", fontsize="medium")
    _number(ax.xaxis, values.shape[1], width / (DIGITS * _axes.letter()), 5)
    _number(ax.yaxis, len(values), height / NUMBER, 5)


def _number(axis: Any, neurons: int, room: float, most: int) -> None:
    """Write the numbers of all neurons, or a few round ones if there is no room for all."""
    from matplotlib.ticker import MaxNLocator

    if neurons <= min(room, most):
        axis.set_ticks(range(neurons))
    else:
        axis.set_major_locator(MaxNLocator(max(1, min(most, int(room) - 2)), integer=True))


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
    ax.stairs(heights, edges, orientation="horizontal", fill=True, color=_axes.ink(), alpha=0.7)
    ax.set_ylim(len(values) - 0.4, -0.6)
    room = _axes.points(ax)[1] / NUMBER
    _number(ax.yaxis, len(values), room, int(room))
    if signed:
        end = _one_digit(float(abs(values).max()))
        ax.set_xlim(-end, end)
        ax.set_xticks([-end, 0, end], ["\N{MINUS SIGN}" + f"{end:g}", "0", f"{end:g}"])
        ax.axvline(0, color=_axes.ink(), linewidth=0.8)
    else:
        across = int(_axes.points(ax)[0] / (FIGURES * _axes.letter()))
        ax.xaxis.set_major_locator(MaxNLocator(max(1, min(3, across))))


def _one_digit(value: float) -> float:
    """Return the next larger number of one digit; 1 for 0."""
    if value == 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")
