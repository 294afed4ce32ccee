"""How a job of several ranks ends: one line on rank 0, and no rank that waits for another."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from cbackprop._endings import DivergenceError
from cbackprop.mpi import failure_detector


class Interrupts:
    """
    While it is entered, Ctrl-C is kept until the ranks meet: none leaves the others in a step.

    A second one is not kept.
    """

    def __init__(self) -> None:
        self._depth, self._came = 0, False
        self._before: Any = None

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._came, self._before = False, signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._keep)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0 and callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            self._before(number, frame)
        self._came = True

    def error(self) -> KeyboardInterrupt | None:
        """Return the error of an interrupt that is kept."""
        came, self._came = self._came, False
        return KeyboardInterrupt() if came else None


def of_all_ranks(error: BaseException, rank: int) -> BaseException:
    """Remember of an error that all ranks raise it, and which one this is."""
    error.of_rank = rank  # type: ignore[attr-defined]
    return error


def common(
    errors: dict[int, BaseException], rank: int, size: int, own: BaseException | None
) -> BaseException:
    """
    Return the error for all ranks: the first that is no mere consequence of another.

    Parameters
    ----------
    errors : dict
        The error of each rank that has one.
    rank, size : int
        The number of this rank, and how many there are.
    own : BaseException or None
        The error of this rank, as it was raised here.
    """
    causes = [at for at, error in errors.items() if not isinstance(error, DivergenceError)]
    chosen = (causes or list(errors))[0]
    error = errors[chosen]
    if len(errors) == size and len({(type(each), str(each)) for each in errors.values()}) == 1:
        return of_all_ranks(own or error, rank)
    if chosen == rank and own is not None:
        return of_all_ranks(own, rank)
    if isinstance(error, SystemExit):  # Python prints what is no number
        return of_all_ranks(error, rank)
    text = f"rank {chosen}: {str(error) or type(error).__name__}"
    try:
        named = type(error)(text)
    except Exception:  # its class takes other arguments
        named = RuntimeError(text)
    return of_all_ranks(named, rank)


def is_of_all_ranks(error: BaseException) -> bool:
    """Tell whether all ranks raise this error."""
    return hasattr(error, "of_rank")


def is_said_by_another(error: BaseException) -> bool:
    """Tell whether this error is for rank 0 to print."""
    return getattr(error, "of_rank", 0) > 0


def watch(comm: Any) -> None:
    """
    See that an error which nobody handles is printed once, and ends all ranks.

    What all ranks raise, rank 0 prints. What one raises outside a training, it prints itself; the
    others would wait for it, so it ends them, as ``python -m mpi4py`` does.
    """
    before = sys.excepthook

    def report(kind: type[BaseException], error: BaseException,
               traceback: TracebackType | None) -> None:
        if not is_said_by_another(error):
            before(kind, error, traceback)
        if comm.size > 1 and not is_of_all_ranks(error):
            sys.stderr.flush()
            failure_detector.leave()
            comm.Abort(1)

    sys.excepthook = report
    failure_detector.watch(comm)
