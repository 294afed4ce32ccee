"""Which trainings can share the vectors of the core, a lane each, and where that is quicker."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import arrays, layers
from cbackprop.callbacks import Callback
from cbackprop.model import Model
from cbackprop.mpi.single_process import SingleProcess
from cbackprop.sources import ArrayExamples, SelectedExamples
from cbackprop.training import Training

MAX_X_BYTES = 2**24  # networks that are small enough for lanes have no more
# A step of a full group takes that of one network times its lanes times this times log2(weights):
# docs/ensembles.md has the measurements.
SHARE_OF_SINGLE = 0.06


def obstacle(network: Model) -> str | None:
    """Return what keeps a network from being a lane, or None."""
    engine = network.engine
    if layers.has_own(engine.cost, engine.activations):
        return "an activation or a cost of the user's own"
    if engine.compute_dtype != engine.dtype:
        return f"compute_dtype={engine.compute_dtype!r}"
    return None


def obstacle_in_training(training: Training) -> str | None:
    """Return what a training asks for that lanes cannot do, or None."""
    options, examples = training.options, all_examples(training)
    if not isinstance(examples, ArrayExamples) or arrays.is_sparse(examples.rows.x):
        return "examples that are not in dense arrays"
    if examples.rows.skips_zeros:
        return "skip_zeros"
    if set(options.eta_factors) != {1.0}:
        return "eta_factors"
    if any(options.nonnegative):
        return "nonnegative"
    if type(training.ranks) is not SingleProcess:
        return "comm"
    if training.by_weight is not None or training.checkpoint is not None:
        return "a training that goes on from a checkpoint"
    if any(each.every is not None or overrides(each, "on_batches") for each in training.callbacks):
        return "callbacks that are called during an epoch, such as progress"
    return obstacle(training.network)


def overrides(callback: Callback, method: str) -> bool:
    """Return whether a callback has this method of its own."""
    return getattr(type(callback), method) is not getattr(Callback, method)


def structure(network: Model) -> dict[str, Any]:
    """Return what networks must have in common to be lanes of the same vectors, by name."""
    engine = network.engine
    return {"sizes": network.sizes, "activations": engine.activations, "cost": engine.cost,
            "dtype": engine.dtype, "input_scale": np.asarray(engine.input_scale).tolist(),
            "bias": engine.biased}


def training_structure(training: Training) -> tuple[Any, ...]:
    """Return what trainings must have in common, besides their rows."""
    return (*structure(training.network).values(), training.m, len(training.examples),
            training.options.optimizer.NAME, all_examples(training).weights is None,
            training.order is None)


def all_examples(training: Training) -> Any:
    """Return all examples, from which a training may select its own."""
    examples = training.examples
    return examples.of if isinstance(examples, SelectedExamples) else examples


def have_same_rows(one: Training, other: Training) -> bool:
    """Return whether two trainings read the same x and y."""
    a, b = all_examples(one), all_examples(other)
    return _same(a.rows.x, b.rows.x) and _same(a.targets.y, b.targets.y)


def share_rows(training: Training, other: Training) -> None:
    """Let a training read another's rows, which are equal; its weights stay its own."""
    own, others = all_examples(training), all_examples(other)
    own.rows = others.rows
    if own.weights is None:
        own.targets = others.targets


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b))


def worthwhile(trainings: Sequence[Training], threads: int) -> int:
    """
    Return how many of these trainings, of one structure, to run as lanes, where that is quicker.

    That is none, those that fill groups, or all. The others take a thread each.
    """
    first, n = trainings[0], len(trainings)
    width = first.engine.build.group_size()
    weights = sum(a * b for a, b in itertools.pairwise(first.network.sizes))
    group = max(1.0, width * SHARE_OF_SINGLE * math.log2(weights + 1))

    def duration(taken: int) -> float:
        groups, singles = math.ceil(taken / width), n - taken
        return math.ceil(groups / threads) * group + math.ceil(singles / threads)

    return min((0, n - n % width, n), key=duration)


class Candidates:
    """Numbered trainings that can be lanes, in sets of one structure and the same rows."""

    def __init__(self) -> None:
        self._sets: list[list[tuple[int, Training]]] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget them all."""
        self._sets.clear()

    def __iter__(self) -> Iterator[list[tuple[int, Training]]]:
        """Yield each set; sets and trainings are in the order of the numbers."""
        number = itemgetter(0)
        return iter(sorted((sorted(each, key=number) for each in self._sets),
                           key=lambda each: number(each[0])))

    def add(self, number: int, training: Training) -> None:
        """Keep a training, unless it has an obstacle; equal data is kept once."""
        if obstacle_in_training(training) or (
                all_examples(training).rows.x.nbytes > MAX_X_BYTES):
            return
        with self._lock:
            for each in self._sets:
                first = each[0][1]
                if training_structure(first) == training_structure(training) and (
                        have_same_rows(first, training)):
                    share_rows(training, first)
                    each.append((number, training))
                    return
            self._sets.append([(number, training)])
