"""
The command line: train, evaluate, predict, bench, info, gradcheck, watch.

A command is a file here. It reads arguments, calls the library and prints; what can be wrong with a
value, the library says.
"""

import io
import os
import sys
import warnings
from collections.abc import Sequence

from cbackprop import mpi
from cbackprop._endings import DivergenceError
from cbackprop.cli.output import Output
from cbackprop.cli.parser import in_options, parse

ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError, OverflowError,
          DivergenceError)
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE: what a shell would report


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0, 1 after an error, 130 after Ctrl-C, 141 if what read our output has
        closed it. Wrong usage exits with 2.
    """
    try:
        try:
            words = sys.argv[1:] if argv is None else list(argv)
            if "--distributed" in words and mpi.world("--distributed").rank:
                _be_silent()  # rank 0 speaks for all
            args = parse(words)
            with warnings.catch_warnings():
                warnings.filterwarnings("always", category=UserWarning)
                warnings.showwarning = _warn
                output = Output(args.json, args.quiet)
                args.command(args, output)
                output.end()
        finally:
            _flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("cbackprop: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ERRORS as error:
        print(f"cbackprop: error: {_described(error)}", file=sys.stderr)
        return 1
    return 0


def _be_silent() -> None:
    """Print nothing from now on."""
    sys.stdout = sys.stderr = io.StringIO()


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the line of code that it comes from."""
    print(f"cbackprop: warning: {_one_line(str(message))}", file=sys.stderr, flush=True)


def _described(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return in_options(" ".join(text.split("\n")))


def _flush() -> None:
    """Hand over what was printed; if nobody takes it, keep the interpreter from trying again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
