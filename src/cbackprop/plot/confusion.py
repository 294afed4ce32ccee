"""The classes that a network confuses, and its worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays, metrics
from cbackprop.inspect import _arguments
from cbackprop.network import Network
from cbackprop.plot import _axes
from cbackprop.sources import ArrayExamples, Examples, RowSource, StreamedExamples

MOST_NAMED = 25  # classes
SHARE = 0.7  # of the size of a figure of its own: where there is less, letters are smaller
LEAST_IMAGE = 24  # points
SMALL = 0.83  # of the usual size: the letters of captions
LINES = 4.2  # of a caption, with the space above the next image
MISTAKES = 12


def confusion(
    net: Network, test_data: Any, *, mistakes: int | None = None,
    shape: tuple[int, int] | None = None, names: Sequence[str] | None = None, ax: Any = None,
) -> Any:
    """
    Draw the confusion matrix, and beside it the mistakes that the network was most certain of.

    A row has the examples of one class. Off the diagonal, a cell is darker, the larger its share of
    the row; the scale ends at the most frequent mistake, so that those of a good network are seen,
    too. The diagonal has the right answers, and stands aside of this scale. Mistakes are sorted by
    the output for the wrong class, which is written below its name.

    Parameters
    ----------
    net : Network or estimator
    test_data : (x, y), list of pairs, or RowSource
        As `Network.SGD` takes it.
    mistakes : int, optional
        How many to show as images; by default 12, fewer where the caller's Axes have room for
        fewer, or 0 if the inputs are not an image.
    shape : (int, int), optional
        Height and width of the images. By default, 64 or more inputs are a square image.
    names : sequence of str, optional
        The names of the classes; by default an estimator's `classes_`, a network's `classes`, or
        0, 1, 2, ...
    ax : matplotlib Axes, optional
        The Axes whose place the picture takes; by default a new figure.

    Returns
    -------
    array of matplotlib Axes
        The Axes of the matrix, then those of each mistake shown.

    Raises
    ------
    TypeError, ValueError
        If an argument or the data is bad, or mistakes are to be shown that are not images.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> _, test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> matrix, *mistakes = cbackprop.plot.confusion(net, test_data)
    >>> matrix.get_title()[-5:], len(mistakes)
    ('right', 12)
    """
    if names is None:
        names = getattr(net, "classes_", None)
    net, test_data = _arguments.network(net), _arguments.data_set(net, test_data)
    names = net.classes if names is None else names
    classes = max(2, net.sizes[-1])
    rule = f"names must be {classes}, one for each class"
    names = list(map(str, range(classes) if names is None else _check.items(names, rule)))
    if len(names) != classes:
        raise ValueError(f"{rule}, got {len(names)}")
    pixels = _axes.image_shape(shape, net.sizes[0], _axes.MIN_IMAGE_INPUTS)
    fewer = mistakes is None
    if mistakes is None:
        mistakes = MISTAKES if pixels else 0
    mistakes = _check.integer("mistakes", mistakes, 0)
    if mistakes and pixels is None:
        raise ValueError(f"shape must be given where the {net.sizes[0]} inputs are no square of "
                         f"{_axes.MIN_IMAGE_INPUTS} or more, got None")
    examples = _examples(net, test_data)
    actual, seen, output = _judged(net, examples)
    counts = np.zeros((classes, classes), np.intp)
    np.add.at(counts, (actual, seen), 1)
    wrong = np.flatnonzero(actual != seen)
    worst = wrong[np.argsort(-output[wrong], kind="stable")[:mistakes]]
    captions = [f"x[{i}]: {names[actual[i]]}\nseen as {names[seen[i]]}\n{output[i]:.3f}"
                for i in worst]
    with _axes.letters(ax, *(SHARE * each for each in _size(captions, names))):
        matrix, spots = _places(ax, captions, names, fewer=fewer)
        _draw_counts(matrix, counts, names)
        if spots:
            rows, _, order, first, last = examples.part(worst[:len(spots)], 0, len(spots))
            images = rows.x[order[first:last]]
            images = images.toarray() if arrays.is_sparse(images) else images
            for spot, image, caption in zip(spots, images, captions, strict=False):
                _axes.hide_frame(spot)
                spot.imshow(image.reshape(pixels), cmap=_axes.greys(), interpolation="nearest")
                spot.set_xlabel(caption, fontsize="small", labelpad=2)
    return np.array([matrix, *spots], dtype=object)


def _examples(net: Network, test_data: Any) -> Examples:
    """Check a data set; the rows of a source are checked when they are made."""
    def admit(part: Any) -> tuple[Any, NDArray[Any]]:
        x, y = arrays.examples(part, net.sizes, net.dtype, "test_data")
        rows = net.engine.rows(x, "x of test_data")
        net.engine.check_finite(rows, "x of test_data")
        return rows, y

    if isinstance(test_data, RowSource):
        row_of_y = net.sizes[-1] * np.dtype(net.dtype).itemsize
        return StreamedExamples(test_data, admit, "test_data", row_of_y)
    return ArrayExamples(*admit(test_data))


def _judged(net: Network, examples: Examples) -> Iterator[NDArray[Any]]:
    """Return each example's class, the class that the network sees, and its output for that."""
    judged = []
    for rows, y in examples.all():
        kind = metrics.kind_of(net.engine, y, net.trained_on)
        metrics.check(metrics.balanced_accuracy, kind, net.engine, "confusion")
        a = net.feedforward(rows.x)
        seen = metrics.decided(a, kind)
        of_both = np.hstack((2 * kind.middle - a, a)) if a.shape[1] == 1 else a
        judged.append((metrics.wanted(y, kind), seen, of_both[np.arange(len(a)), seen]))
    return map(np.concatenate, zip(*judged, strict=True))


def _size(captions: list[str], names: list[str]) -> tuple[float, float]:
    """Return width and height of a figure of its own."""
    side = _side(names)
    columns = math.ceil(math.sqrt(len(captions)))
    rows = -(-len(captions) // max(1, columns))
    return side + columns * max(1.1, 0.075 * _longest(captions)), max(side, 1.4 * rows)


def _side(names: list[str]) -> float:
    return min(8.0, max(3.0, 0.38 * len(names) + 0.5)) + 0.08 * max(map(len, names))


def _longest(captions: list[str]) -> int:
    return max((len(line) for caption in captions for line in caption.splitlines()), default=0)


def _places(
    ax: Any, captions: list[str], names: list[str], *, fewer: bool
) -> tuple[Any, list[Any]]:
    """Return the Axes of the matrix, and of images beside it with room for these captions."""
    size = _size(captions, names)
    if not captions:
        return _axes.axes(ax, size), []
    outer = _axes.grid(ax, 1, 2, size, width_ratios=(_side(names), size[0] - _side(names)))
    columns = math.ceil(math.sqrt(len(captions)))
    shown = len(captions)
    if ax is not None:
        across, up = _axes.points(ax)
        word = SMALL * _axes.letter() * (_longest(captions) + 1)
        columns = max(1, min(columns, int(across * (1 - _side(names) / size[0]) / word)))
        if fewer:
            rows = int(up / (LEAST_IMAGE + LINES * SMALL * _axes.letter() / _axes.LETTER))
            shown = min(shown, columns * max(1, rows))
    inner = outer[1].subgridspec(-(-shown // columns), columns)
    figure = outer.figure
    return (figure.add_subplot(outer[0]),
            [figure.add_subplot(inner[at]) for at in range(shown)])


def _draw_counts(ax: Any, counts: NDArray[Any], names: list[str]) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path
    from matplotlib.ticker import MaxNLocator

    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    mistakes = np.where(np.eye(len(counts), dtype=bool), 0, shares)
    most = float(mistakes.max()) or 1.0
    drawn = ax.imshow(mistakes, cmap=_axes.greys(), vmin=0, vmax=most, interpolation="nearest")
    ax.set(xlabel="class that the network sees", ylabel="class",
           title=f"{counts.trace():,} of {counts.sum():,} right")
    room, letter = 1.15 * min(_axes.points(ax)), _axes.letter()  # a layout makes Axes larger
    cell = room / len(counts)
    if len(counts) <= MOST_NAMED:
        size = min(letter / _axes.LETTER, 0.9 * cell)
        font = FontProperties(size=size)
        widest = max(text_to_path.get_text_width_height_descent(name, font, ismath=False)[0]
                     for name in names)
        ax.set_xticks(range(len(names)), names, fontsize=size,
                      rotation=90 * (widest + letter > cell))
        ax.set_yticks(range(len(names)), names, fontsize=size)
    else:
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
    if len(counts) <= MOST_NAMED and letter * (len(str(counts.max())) + 1) <= cell:
        ax.plot([-0.5, len(counts) - 0.5], [-0.5, len(counts) - 0.5], color=_axes.ink(),
                linewidth=12, alpha=0.12, solid_capstyle="butt", zorder=0.5)
        for (actual, seen), count in np.ndenumerate(counts):
            if count:
                dark = mistakes[actual, seen] > most / 2
                ax.text(seen, actual, f"{count}", ha="center", va="center", fontsize="small",
                        weight="bold" if actual == seen else "normal",
                        color=ax.get_facecolor() if dark else _axes.ink())
    else:
        _axes.colorbar(
            ax, drawn, _axes.wrapped("share of the class that is taken for another", room))
