"""The chapter in plain loops, that comes with the package."""

from collections.abc import Iterator

from common import Work, stopwatch
from numpy.typing import NDArray

from cbackprop import chapter2
from opponents.contestant import Contestant, Examples


class PlainLoops(Contestant):
    """
    `cbackprop.chapter2.sgd`, in float64.

    Where a mini-batch takes longer than is allowed, one of fewer rows is timed, and the time is
    scaled. Its step, which costs less than a row, is then counted more often than it is taken.
    """

    opponent = "plain loops"
    few_in_check = True

    def __init__(self, work: Work, examples: Examples) -> None:
        super().__init__(work, examples, "float64", "float64")

    def begin(self) -> None:  # noqa: D102
        self.weights, self.biases = self.start

    def train(self, batches: NDArray) -> None:  # noqa: D102
        self.weights, self.biases = chapter2.sgd(
            self.weights, self.biases, self.x, self.y, batches.ravel(), batches.shape[1],
            self.work.eta)

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*self.weights, *self.biases]

    def epoch(self) -> None:  # noqa: D102
        m = min(self.work.mini_batch_size, self.rows_timed)
        self.train(self.random.permutation(self.work.rows)[:self.rows_timed].reshape(-1, m))

    def choose_rows(self, least: float, limit: float) -> None:  # noqa: D102
        self.begin()
        self.rows_timed = 2
        per_row = min(stopwatch(self.epoch) for _ in range(2)) / 2
        if self.work.mini_batch_size * per_row > limit:
            self.rows_timed = max(2, int(limit / per_row))
        else:
            super().choose_rows(least, limit)


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    if work.activation == "sigmoid":
        yield PlainLoops(work, examples)
