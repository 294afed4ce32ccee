"""Sums of arenas over ranks, started piece by piece while later pieces are still computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.mpi import messages
from cbackprop.thread_choice import LINE_BYTES


class Stopped(Exception):  # noqa: N818  an order, not an error
    """Another rank takes no further step; it says why when all of them meet."""


class Exchange:
    """
    An arena of each rank, whose sum all ranks receive.

    The last piece has a number of its own before the arena: how many ranks have failed. So every
    rank takes part in every sum, and all leave off at the same step.

    Parameters
    ----------
    comm : Comm
    aligned : callable (size)
        Returns an arena.
    pieces : sequence of (int, int)
        The first and last number of each piece, in the order in which they are started; the last
        one begins at 0.
    sum_of : callable (comm, piece)
        Starts a sum, and returns it: `done` says whether the piece has it.

    Attributes
    ----------
    arena : array
        What this rank adds, and then the sum.
    left : int
        How many sums are still to come before the ranks meet.
    waited : float
        The seconds in `wait`.
    """

    def __init__(
        self, comm: Any, aligned: Callable[[int], NDArray[Any]],
        pieces: Sequence[tuple[int, int]], sum_of: Callable[[Any, NDArray[Any]], Any],
    ) -> None:
        size = max(last for _, last in pieces)
        gap = LINE_BYTES // aligned(1).itemsize  # so that the arena begins on a cache line
        whole = aligned(gap + size)
        self.arena = whole[gap:]
        self._failed = whole[gap - 1:gap]
        self._pieces = [whole[gap + first - (first == 0):gap + last] for first, last in pieces]
        self._comm, self._sum_of = comm, sum_of
        self._begun: list[Any] = []
        self.left, self.waited = 0, 0.0

    def begin(self, times: int) -> None:
        """Say how many sums follow before the ranks meet."""
        self.left, self.waited = times, 0.0
        self._failed[0] = 0

    def start(self) -> None:
        """Start the next piece: this rank's numbers are complete."""
        self._begun.append(self._sum_of(self._comm, self._pieces[len(self._begun)]))

    def poll(self) -> None:
        """Give MPI a moment: most libraries send nothing while nobody calls them."""
        for each in self._begun[-2:]:
            each.poll()

    def wait(self) -> None:
        """
        Wait until all pieces are there.

        Raises
        ------
        Stopped
            If a rank has failed.
        """
        start = time.perf_counter()
        for each in self._begun:
            messages.wait(each.done)
        self._begun.clear()
        self.left -= 1
        self.waited += time.perf_counter() - start
        if self._failed[0]:
            self.left = 0
            raise Stopped

    def fail(self) -> None:
        """Take part in the next sum, where other ranks wait, and say in it that this one failed."""
        if not self.left:
            return
        if len(self._begun) == len(self._pieces):  # without saying so
            self._finish()
        if self.left:
            self._failed[0] = 1
            while len(self._begun) < len(self._pieces):
                self.start()
            self._finish()

    def _finish(self) -> None:
        with suppress(Stopped):
            self.wait()


class Sum:
    """A sum in the arena's own type, by Iallreduce."""

    def __init__(self, comm: Any, piece: NDArray[Any]) -> None:
        from mpi4py import MPI

        self._request = comm.Iallreduce(MPI.IN_PLACE, piece)

    def poll(self) -> None:
        """Let it go on."""
        self._request.Test()

    def done(self) -> bool:
        """Tell whether the piece has the sum."""
        return bool(self._request.Test())


class RoundedSum:
    """
    A sum of numbers that travel as bfloat16: half the bytes of float32.

    Each rank rounds its numbers, adds up one part of them from all ranks in float32, and rounds
    that sum. With u = 2^-8, the error of a sum is at most u times the sum of the magnitudes, plus u
    times the magnitude of the sum.
    """

    def __init__(self, comm: Any, piece: NDArray[Any]) -> None:
        self._comm, self._piece = comm, piece
        self._part = -(-piece.size // comm.size)
        sent = np.zeros(comm.size * self._part, np.uint16)
        sent[:piece.size] = rounded(piece)
        self._sent, self._received = sent, np.empty_like(sent)
        self._request = comm.Ialltoall(sent, self._received)
        self._gathers = False

    def poll(self) -> None:
        """Let it go on."""
        self._request.Test()

    def done(self) -> bool:
        """Tell whether the piece has the sum."""
        if not self._request.Test():
            return False
        if not self._gathers:
            own = widened(self._received).reshape(self._comm.size, self._part).sum(axis=0)
            self._own = rounded(own)
            self._request = self._comm.Iallgather(self._own, self._sent)
            self._gathers = True
            return False
        self._piece[:] = widened(self._sent[:self._piece.size])
        return True


SUMS = {None: Sum, "bfloat16": RoundedSum}


def rounded(x: NDArray[Any]) -> NDArray[np.uint16]:
    """
    Return numbers as bfloat16, rounded to nearest, ties to even.

    Examples
    --------
    >>> widened(rounded(np.array([1.0, 1.00390625, 1.01171875], np.float32)))
    array([1.      , 1.      , 1.015625], dtype=float32)
    """
    bits = x.astype(np.float32).view(np.uint32)
    with np.errstate(over="ignore"):
        nearest = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16
    # A NaN might round to infinity: it keeps its upper bits, and is quiet.
    return np.where(np.isnan(x), bits >> 16 | 0x40, nearest).astype(np.uint16)


def widened(x: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 as float32."""
    return (x.astype(np.uint32) << 16).view(np.float32)
