"""Names of 0.6.0, for one more version: each says what takes its place."""

import warnings
from typing import Any

from cbackprop.history import History


def plot(history: History, ax: Any = None) -> Any:
    """Draw it on `ax`, by default a new figure's."""
    from cbackprop.plot import learning_curves  # most who train do not need it

    warnings.warn("History.plot is deprecated, and will go in the next version: "
                  "cbackprop.plot.learning_curves(history) draws it", DeprecationWarning,
                  stacklevel=2)
    return learning_curves(history, ax=ax)


setattr(History, "plot", plot)  # noqa: B010
