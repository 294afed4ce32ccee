"""A page of one network and some examples: every equation, one click away, in one file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cbackprop import _check, storage
from cbackprop._version import __version__
from cbackprop.inspect import _arguments
from cbackprop.inspect.page import answers
from cbackprop.inspect.page.document import document
from cbackprop.layers import described

MOST_EXAMPLES = 20


def page(
    net: Any, x: ArrayLike, y: ArrayLike, path: storage.Target, *, eta: float = 1.0, most: int = 8
) -> None:
    r"""
    Write a page that shows how some examples go through a network and back, in one HTML file.

    It needs no server and no network: it has all numbers in it, and loads nothing. `cbackprop
    watch` shows the same page of a network that can be trained.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)
        At most 20 examples.
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)
    path : str, path-like or binary file object
        A file that is there is replaced, whole or not at all.
    eta : float
        The learning rate of the update that is written.
    most : int
        At least 2. Of a wider layer, so many neurons are drawn: those with the largest abs(delta).
        Of a longer sum, so many terms are written, and the others as one number.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are too many.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "page.html")
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> page(net, [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]], path)
    >>> with open(path, encoding="utf-8") as file:
    ...     file.readline()
    '<!doctype html>\n'
    """
    html = stored(net, x, y, eta=eta, most=most)
    with storage.replacing(path) as file:
        file.write(html.encode())


def stored(net: Any, x: ArrayLike, y: ArrayLike, *, eta: float = 1.0, most: int = 8) -> str:
    """Return the document of `page`, with the answer to everything that may be asked on it."""
    eta, most = _check.number("eta", eta, 0), _check.integer("most", most, 2)
    copy, rows, targets = _arguments.copy_and_examples(net, x, y)
    if len(rows) > MOST_EXAMPLES:
        raise ValueError(f"x must be at most {MOST_EXAMPLES} examples, got {len(rows)}: a page "
                         f"has every number of each")
    if targets.ndim == 1:
        targets = np.eye(copy.sizes[-1])[targets]
    told: dict[str, Any] = {}
    for row, (x_row, y_row) in enumerate(zip(rows, targets, strict=True)):
        shown = answers.example(copy, x_row, y_row, eta=eta, most=most)
        told[f"example {row}"] = shown
        for before, layer in zip(shown["layers"], shown["layers"][1:], strict=False):
            at = layer["layer"]
            for j in layer["drawn"]:
                told[f"demon {row} {at} {j}"] = answers.demon(copy, x_row, y_row, at, j)
                for k in before["drawn"]:
                    told[f"edge {row} {at} {j} {k}"] = answers.edge(copy, x_row, y_row, at, j, k)
        if side(copy.sizes[0]):
            told[f"pixels {row}"] = answers.pixels(copy, x_row, y_row)
    if copy.sizes[0] == 2:
        told["plane"] = answers.plane(copy, rows)
    state = description(_arguments.network(net), rows, targets) | {"eta": eta}
    return document({"state": state, "answers": told, "version": __version__}, connects=False)[0]


def description(net: Any, x: ArrayLike, y: ArrayLike) -> dict[str, Any]:
    """Return what a page says of a network and its examples."""
    names = net.preprocessing.columns if net.preprocessing is not None else None
    return {
        "sizes": list(net.sizes), "activations": answers.activations(net),
        "cost": described(net.cost), "inputs": names and list(map(str, names)),
        "classes": None if net.classes is None else list(map(str, net.classes)),
        "side": side(net.sizes[0]), "rows": len(np.asarray(x)),
        "points": ({"x": answers.numbers(x, 4), "y": answers.numbers(y, 4)}
                   if net.sizes[0] == 2 else None)}


def side(inputs: int) -> int | None:
    """Return the side of a square image, if inputs are as many as the pixels of one."""
    root = round(inputs**0.5)
    return root if root * root == inputs and root >= 8 else None
