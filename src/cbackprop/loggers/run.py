"""What the logs share: the parameters of a run, its numbers, and how it ended."""

from __future__ import annotations

import sys
from typing import Any

from cbackprop._endings import StopTraining
from cbackprop.callbacks import Callback
from cbackprop.history import History


def parameters(network: Any, callback: Callback) -> dict[str, Any]:
    """Return the network's settings and what the training was asked for; no arrays or objects."""
    found = network.settings() | callback.asked()
    return {name: value if isinstance(value, (int, float, str)) else str(value)
            for name, value in found.items()}


def numbers(history: History) -> dict[str, float]:
    """Return what was measured in the last epoch."""
    return {name: history.series(name)[-1] for name in history.recorded}


def failure() -> BaseException | None:
    """Return the error by which the training is ending, if it is one."""
    error = sys.exc_info()[1]
    return None if isinstance(error, StopTraining) else error
