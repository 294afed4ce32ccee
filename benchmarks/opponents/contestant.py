"""What every contestant is, the examples all of them train on, and the check before any timing."""

import abc
import math
from collections.abc import Iterable

import numpy as np
from common import REALS, Work, stopwatch
from numpy.typing import NDArray

TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # of the largest update
LEAST_SECONDS, MOST_SECONDS = 0.01, 1.0  # of one measurement: several epochs, or part of one
MOST_ROUNDINGS = 256  # of a weight in one step: more would leave little of its digits


class Examples:
    """
    Rows drawn uniformly, the same numbers in every type, and their targets.

    Targets are one-hot, 0 or 1 if single, or the rows themselves where the work says so.

    Attributes
    ----------
    x : dict of arrays
        By type of the rows: uint8 in 0..255, the others that by 255.
    y : dict of arrays
        By real type.
    weights, biases : lists of arrays
        To begin from: (out, in) and (out, 1), float64 that float32 holds exactly.
    """

    def __init__(self, work: Work) -> None:
        rng = np.random.default_rng(2)
        n, outputs = work.rows, work.sizes[-1]
        pixels = rng.integers(0, 256, (n, work.sizes[0]), dtype=np.uint8)
        self.x = {"uint8": pixels, "float64": pixels / 255.0}
        self.x["float32"] = self.x["float64"].astype(np.float32)
        labels = rng.integers(0, max(outputs, 2), n)
        one_hot = np.eye(outputs)[labels] if outputs > 1 else labels.reshape(n, 1)
        self.y = {real: self.x[real] if work.autoencoder else one_hot.astype(real)
                  for real in REALS}
        self.weights = [_exact(rng.standard_normal((j, k)) / k**0.5) for j, k in work.shapes]
        self.biases = [_exact(rng.standard_normal((j, 1))) for j, _ in work.shapes]


def _exact(array: NDArray) -> NDArray:
    return array.astype(np.float32).astype(np.float64)


class Contestant(abc.ABC):
    """
    One way to train.

    Attributes
    ----------
    opponent : str
        Whose way, the same for every real type and form.
    name : str
        Opponent, real type, and the type of the rows where that is another.
    form : str
        Which of several ways to write it; the fastest one counts.
    real, rows : str
        Types of arithmetic and of the rows of x.
    work : Work
        What it trains: the arithmetic too, where it cannot do that of the others.
    roundings : int
        Of a parameter in one step, at most.
    rows_timed : int
        Of an epoch's: all, or whole mini-batches of it and the time is scaled.
    few_in_check : bool
        Whether it is so slow that it is checked on few rows.
    epochs_timed : int
        One after another in a measurement, whose mean counts.
    """

    opponent = ""
    form = ""
    roundings = 1
    in_part = True  # whether a part of an epoch can be timed
    few_in_check = False
    steps = 1  # always taken together

    def __init__(self, work: Work, examples: Examples, real: str, rows: str) -> None:
        self.name = f"{self.opponent} {real}" + f", {rows} rows" * (rows != real)
        self.work, self.real, self.rows = work, real, rows
        self.x, self.y = examples.x[rows], examples.y[real]
        self.start = examples.weights, examples.biases
        self.random = np.random.default_rng(3)
        self.rows_timed, self.epochs_timed = work.rows, 1

    @abc.abstractmethod
    def begin(self) -> None:
        """Set the parameters that all begin from."""

    @abc.abstractmethod
    def train(self, batches: NDArray) -> None:
        """Take one step for each mini-batch, given as a row of indices of rows."""

    @abc.abstractmethod
    def parameters(self) -> list[NDArray]:
        """Return the weights (out, in), then the biases (out, 1)."""

    def epoch(self) -> None:
        """Train on all rows that are timed, in a new random order."""
        order = self.random.permutation(self.work.rows)[:self.rows_timed]
        self.train(order.reshape(-1, self.work.mini_batch_size))

    def choose_rows(self, least: float, limit: float) -> None:
        """Choose what is timed for at least and at most so long: several epochs, or part of one."""
        n, unit = self.work.rows, self.work.mini_batch_size * self.steps
        self.begin()
        if self.in_part:
            self.rows_timed = max(1, n // unit // 10) * unit
        seconds = stopwatch(self.epoch) * n / self.rows_timed
        self.rows_timed = n
        if seconds < least:
            self.epochs_timed = math.ceil(least / seconds)
        elif seconds > limit and self.in_part:
            self.rows_timed = max(1, int(n * limit / seconds / unit)) * unit

    def seconds(self) -> float:
        """Measure an epoch."""
        self.begin()
        seconds = stopwatch(lambda: [self.epoch() for _ in range(self.epochs_timed)])
        return seconds / self.epochs_timed * self.work.rows / self.rows_timed


class Check:
    """
    What a reference makes of three mini-batches, for others to be compared with.

    Each step rounds a parameter by up to half a unit in its last place: more than the rest of the
    rounding, and where steps are small, more than is allowed. What three steps make, of parameters
    and of their changes, is taken off; where a form rounds more often, its lines in float64 show
    that it is only that.
    """

    def __init__(self, work: Work, reference: Contestant) -> None:
        self.work, self.reference = work, reference
        order = np.random.default_rng(4).permutation(work.rows)
        self.batches = np.resize(order, (3, work.mini_batch_size))
        reference.begin()
        self.before = [p.copy() for p in reference.parameters()]
        reference.train(self.batches)
        self.wanted = [p.copy() for p in reference.parameters()]

    def difference(self, one: Contestant) -> float:
        """
        Return how far this contestant's parameters are from the reference's.

        Returns
        -------
        float
            The largest difference in any array, beyond that rounding, as a share of the largest
            change that training made in that array.

        Raises
        ------
        SystemExit
            If that is more than is allowed.
        """
        one.begin()
        one.train(self.batches)
        rounding = 3 * one.roundings * float(np.finfo(one.real).eps) / 2
        worst = max(
            float((np.abs(p - w) - rounding * np.abs(w)).max() / np.abs(w - start).max())
            for p, w, start in zip(one.parameters(), self.wanted, self.before, strict=True))
        if not worst - rounding <= TOLERANCE[one.real]:
            raise SystemExit(
                f"{self.work.name}: {one.name} differs from {self.reference.name} by "
                f"{worst:.1e} of the update, and only {TOLERANCE[one.real]:.0e} is rounding: "
                f"nothing is timed")
        return max(0.0, worst - rounding)


def check(
    work: Work, reference: Contestant, others: Iterable[Contestant]
) -> dict[str, dict[str, float]]:
    """Return the differences of all, by real type and contestant; or end if one is too large."""
    against = Check(work, reference)
    differences: dict[str, dict[str, float]] = {real: {} for real in REALS}
    for one in others:
        differences[one.real][f"{one.name} {one.form}".strip()] = against.difference(one)
    return differences
