"""A page of one network and some examples: every equation, one click away, in one file."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from cbackprop import storage
from cbackprop.callbacks import Snapshots
from cbackprop.inspect.page.file import stored


def page(
    net: Any, x: ArrayLike, y: ArrayLike, path: storage.Target, *, eta: float = 1.0,
    most: int | None = None,
) -> None:
    r"""
    Write a page that shows how some examples go through a network and back, in one HTML file.

    It needs no server and no network: it has all numbers in it, and loads nothing. `cbackprop
    watch` shows the same page of a network that can be trained.

    Parameters
    ----------
    net : Network, estimator or callbacks.Snapshots
        With `Snapshots`, the page has a slider over the epochs that they have kept, and the cost of
        the examples at each.
    x : array of shape (n, in), (in,), or a column (in, 1)
        At most 20 examples.
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)
    path : str, path-like or binary file object
        A file that is there is replaced, whole or not at all.
    eta : float
        The learning rate of the update that is written.
    most : int, optional
        At least 2. Of a wider layer, so many neurons are drawn: those with the largest abs(delta).
        Of a longer sum, so many terms are written, and the others as one number. By default 8, or
        fewer, down to 2, where the file would be larger than 300 kB.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are too many.
    OSError
        If the file cannot be written.

    Notes
    -----
    A file of XOR has 100 kB, one of a single digit and a network 784-30-10 110 kB, of ten digits
    290 kB. It is written within 300 kB: where more examples and layers need more, fewer neurons are
    drawn, unless `most` is given; and so many epochs are stored, evenly, as there is room for, at
    least the first and the last.

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
    html = stored(_by_epoch(net), x, y, eta=eta, most=most)
    with storage.replacing(path) as file:
        file.write(html.encode())


def _by_epoch(net: Any) -> dict[int, Any]:
    """Return the networks of the last training that Snapshots have seen, or a network alone."""
    if not isinstance(net, Snapshots):
        return {0: net}
    found: dict[int, Any] = {}
    for epoch, network in zip(net.epochs, net.networks, strict=True):
        if found and epoch < max(found):  # another training began
            found = {}
        found[epoch] = network
    if not found:
        raise ValueError("net must be Snapshots of a training, got none of a network")
    sizes = {network.sizes for network in found.values()}
    if len(sizes) > 1:
        raise ValueError(f"net must be Snapshots of one network, got sizes {sorted(sizes)}")
    return found
