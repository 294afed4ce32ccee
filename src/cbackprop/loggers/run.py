"""What the loggers share: the parameters of a run, its numbers, and the error that ended it."""

from __future__ import annotations

import sys
from typing import Any

from cbackprop._endings import StopTraining
from cbackprop.callbacks import Callback
from cbackprop.history import History


def parameters(network: Any, callback: Callback) -> dict[str, Any]:
    """Return the settings of the network and the training; arrays and objects become text."""
    found = network.settings() | callback.asked()
    return {name: value if isinstance(value, (int, float, str)) else str(value)
            for name, value in found.items()}


def numbers(history: History) -> dict[str, float]:
    """Return what was measured in the last epoch."""
    return {name: history.series(name)[-1] for name in history.recorded}


def failure() -> BaseException | None:
    """Return the error that is ending the training; None if it ends as it should."""
    error = sys.exc_info()[1]
    return None if isinstance(error, StopTraining) else error
