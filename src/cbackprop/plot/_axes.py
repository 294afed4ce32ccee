"""Shared by all pictures: matplotlib, the Axes to draw on, colours, and what needs no colour."""

from __future__ import annotations

import math
import operator
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cbackprop import _check

# Six dashes and seven markers: 42 different lines.
LINE_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = "osD^vPX"
SIGNED_COLORMAP = "cividis"  # dark blue, grey, yellow: lightness shows the sign, too
MAX_MARKERS = 12  # on a line
LETTER = 0.55  # of its size: the width of a letter, about
SMALLEST_LETTERS = 0.65  # of the style's size
BESIDE_WORDS = 6.4  # letters: the line and the gaps of a legend
MIN_IMAGE_INPUTS = 64  # fewer inputs are drawn as an image only if the caller gives a shape


def pyplot() -> Any:
    """
    Import matplotlib.

    Raises
    ------
    ModuleNotFoundError
        If it is missing; the message names the extra.
    """
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError:
        raise ModuleNotFoundError("plot needs matplotlib: pip install 'cbackprop[plot]'") from None
    return pyplot


def axes(ax: Any, size: tuple[float, float] | None = None) -> Any:
    """
    Return the caller's Axes, or those of a new figure of this size.

    Raises
    ------
    TypeError
        If `ax` is something else.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=size, layout="compressed")[1]
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {_check.shown(ax)}")
    return ax


def grid(ax: Any, rows: int, columns: int, size: tuple[float, float], **ratios: Any) -> Any:
    """Return a GridSpec in a new figure of this size, or in the place of the caller's Axes."""
    if ax is None:
        return pyplot().figure(figsize=size, layout="constrained").add_gridspec(
            rows, columns, **ratios)
    # In matplotlib 3.6, only Axes of a GridSpec have the method.
    place = getattr(axes(ax), "get_subplotspec", lambda: None)()
    ax.set_axis_off()
    if place is not None:
        return place.subgridspec(rows, columns, **ratios)
    from matplotlib.gridspec import GridSpec

    box = ax.get_position()
    return GridSpec(rows, columns, ax.figure, left=box.x0, bottom=box.y0, right=box.x1,
                    top=box.y1, **ratios)


@contextmanager
def letters(ax: Any, width: float, height: float) -> Iterator[None]:
    """Draw with smaller letters if the caller's Axes are smaller than this, in inches."""
    across, up = (math.inf, math.inf) if ax is None else points(axes(ax))
    part = max(SMALLEST_LETTERS, min(1.0, across / 72 / width, up / 72 / height))
    if part == 1:
        yield
        return
    plt, figure = pyplot(), ax.figure
    before = set(figure.axes) - {ax}
    with plt.rc_context({"font.size": part * plt.rcParams["font.size"]}):
        yield
        for panel in figure.axes:  # their ticks are made when the figure is drawn
            for each in () if panel in before else (panel, *panel.child_axes):
                for axis in "xy":
                    size = _points_of(f"{axis}tick.labelsize")
                    each.tick_params(axis, which="both", labelsize=size)


def _points_of(setting: str) -> float:
    """Return a size of letters in the style in use."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=pyplot().rcParams[setting]).get_size_in_points())


def letter() -> float:
    """Return the width of a letter, about, in points."""
    return LETTER * float(pyplot().rcParams["font.size"])


def wrapped(words: str, room: float) -> str:
    """Return words on lines of so many points."""
    return textwrap.fill(words, max(8, int(room / letter())), break_long_words=False,
                         break_on_hyphens=False)


def points(ax: Any) -> tuple[float, float]:
    """Return the width and height of Axes, about: a layout may still change them."""
    box, scale = ax.get_window_extent(), 72 / ax.figure.dpi
    return box.width * scale, box.height * scale


def ink() -> Any:
    """Return the colour of text in the style in use."""
    return pyplot().rcParams["text.color"]


def greys() -> Any:
    """Return the map from the background of the style in use to the colour of its text."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "greys", [pyplot().rcParams["axes.facecolor"], ink()])


def colors(number: int) -> list[Any]:
    """Return the style's own colours; or, since matplotlib's default ones are pale, darker ones."""
    import matplotlib

    cycle = matplotlib.rcParams["axes.prop_cycle"]
    own = [one["color"] for one in cycle if "color" in one]
    if own and cycle != matplotlib.rcParamsDefault["axes.prop_cycle"]:
        return [own[at % len(own)] for at in range(number)]
    return list(pyplot().get_cmap("viridis")([0.65 * at / max(1, number - 1)
                                              for at in range(number)]))


def line(ax: Any, first: int, values: Sequence[float], which: int, tone: Any, label: str,
         **style: Any) -> Any:
    """Draw values over the epochs, beginning with the first, in a style of their own."""
    return ax.plot(
        range(first, first + len(values)), values, color=tone,
        linestyle=LINE_STYLES[which % len(LINE_STYLES)], marker=MARKERS[which % len(MARKERS)],
        markersize=5, markevery=max(1, -(-len(values) // MAX_MARKERS)), label=label, **style)[0]


def legend(ax: Any, handles: Sequence[Any], ncols: int = 2) -> None:
    """Put the legend above the Axes, where it hides no line, with labels as wide as they are."""
    room, line = 1.2 * points(ax)[0], BESIDE_WORDS * letter()
    longest = max(len(handle.get_label()) for handle in handles)
    ncols = max(1, min(ncols, int(room / (line + longest * letter()))))
    labels = [wrapped(handle.get_label(), room / ncols - line) for handle in handles]
    ax.legend(handles=handles, labels=labels, loc="lower center", ncols=ncols, frameon=False,
              bbox_to_anchor=(0.5, 1))


def epoch_axis(ax: Any) -> None:
    """Label the axis of epochs, with whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def image_shape(shape: Any, inputs: int, least: int = 0) -> tuple[int, int] | None:
    """
    Return the height and width of the image; None if the inputs are not a square, or too few.

    Raises
    ------
    TypeError, ValueError
        If the caller's shape is not two positive integers with this product.
    """
    if shape is None:
        side = math.isqrt(inputs)
        return (side, side) if side * side == inputs >= least else None
    rule = f"shape must be two positive integers with the product {inputs}"
    try:
        height, width = map(operator.index, _check.items(shape, rule))
    except (TypeError, ValueError):
        raise TypeError(f"{rule}, got {_check.shown(shape)}") from None
    if min(height, width) < 1 or height * width != inputs:
        raise ValueError(f"{rule}, got {_check.shown(shape)}")
    return height, width


def colorbar(ax: Any, drawn: Any, label: str, **style: Any) -> None:
    """Draw the colour scale beside an image, at the same height."""
    ax.figure.colorbar(drawn, cax=ax.inset_axes((1.03, 0, 0.03, 1)), label=label, **style)


def hide_frame(ax: Any) -> None:
    """Hide ticks and frame, as around an image."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
