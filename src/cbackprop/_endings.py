"""Two ways for a training to end before its last epoch, and whose process it is that may end."""

import os
import sys


class DivergenceError(FloatingPointError):
    """Training produced NaN or infinity; the parameters are those from before that epoch."""


class StopTraining(Exception):  # noqa: N818  an order, not an error
    """
    Raised by a callback, a metric or a schedule: the training ends here, as it is.

    For a callback, returning True does the same.
    """


def is_command() -> bool:
    """Tell whether this process is the command line, which says in a line what is wrong."""
    program = sys.orig_argv[-len(sys.argv):][:1] or [""]
    name, ending = os.path.splitext(os.path.basename(program[0].removeprefix("-m")))
    return name == "cbackprop" and ending in ("", ".exe")
