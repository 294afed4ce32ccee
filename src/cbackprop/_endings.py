"""The exceptions that end a training early, on their way, and the rule for ending the process."""

import os
import pickle
import sys


class DivergenceError(FloatingPointError):
    """Training produced NaN or infinity; the parameters are those from before that epoch."""


class StopTraining(Exception):  # noqa: N818  an order, not an error
    """
    Raised by a callback, a metric or a schedule: the training ends here, as it is.

    For a callback, returning True does the same.
    """


def sendable(error: BaseException) -> BaseException:
    """Return an error that another process can receive: itself, or one with its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def is_command() -> bool:
    """Tell whether this process is the command line, which says in a line what is wrong."""
    program = sys.orig_argv[-len(sys.argv):][:1] or [""]
    name, ending = os.path.splitext(os.path.basename(program[0].removeprefix("-m")))
    return name == "cbackprop" and ending in ("", ".exe")
