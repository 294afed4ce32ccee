"""A picture that moves: the same network, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cbackprop import _check
from cbackprop.plot import _axes

MILLISECONDS = 200


def animate(
    draw: Callable[[Any, Any], object], networks: Sequence[Any], *,
    titles: Sequence[object] | None = None, interval: int = MILLISECONDS, ax: Any = None,
) -> Any:
    """
    Draw one picture of each network after the other, as a film.

    Parameters
    ----------
    draw : callable (network, ax)
        Draws one picture on the Axes.
    networks : sequence of Network
        Such as the `networks` of `callbacks.Snapshots`.
    titles : sequence, optional
        What stands above each picture; by default "epoch 0", "epoch 1", ...
    interval : int
        The time that each picture is shown, in milliseconds.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Its method ``save`` writes a file, ``to_jshtml`` shows it in a notebook. Keep it as long as
        it is shown.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or there is no network.
    ModuleNotFoundError
        If matplotlib (extra ``plot``) is missing.

    Examples
    --------
    >>> import cbackprop
    >>> x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> net = cbackprop.Network([2, 4, 2], activation="tanh", seed=0)
    >>> seen = cbackprop.callbacks.Snapshots(every=50)
    >>> history = net.SGD((x, y), 200, 4, 2.0, callbacks=[seen])
    >>> film = cbackprop.plot.animate(
    ...     lambda net, ax: cbackprop.plot.decision_boundary(net, (x, y), ax=ax), seen.networks,
    ...     titles=[f"epoch {epoch}" for epoch in seen.epochs])
    >>> len(film.to_jshtml()) > 1000
    True
    """
    if not callable(draw):
        raise TypeError(f"draw must be a callable (network, ax), got {_check.shown(draw)}")
    rule = "networks must be a sequence of at least one network"
    networks = _check.items(networks, rule)
    if not networks:
        raise ValueError(f"{rule}, got none")
    shown = [f"epoch {at}" for at in range(len(networks))] if titles is None else list(
        map(str, _check.items(titles, "titles must be a sequence")))
    if len(shown) != len(networks):
        raise ValueError(f"titles must be {len(networks)}, as the networks are, got {len(shown)}")
    interval = _check.integer("interval", interval, 1)
    ax = _axes.axes(ax)
    from matplotlib.animation import FuncAnimation

    def frame(at: int) -> tuple[Any, ...]:
        ax.clear()
        draw(networks[at], ax)
        ax.set_title(shown[at], loc="left")
        return ()

    frame(0)  # until it is played; afterwards its last picture stays
    return FuncAnimation(ax.figure, frame, frames=len(networks), interval=interval,
                         init_func=lambda: ())
