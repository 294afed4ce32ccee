"""
What a table gives without a single flag, beside scikit-learn's networks, on one core.

Every work is split five times, by five seeds, into a part to train on and a fifth to test. On each,
scikit-learn's `MLPClassifier` or `MLPRegressor` is fitted behind a `StandardScaler` with early
stopping, all else at its defaults; and cbackprop with what `tables.settings` decides. Both are
judged by accuracy, or by R2 for numbers, and timed. Works named after a data set that no package
brings have its shape and are made here.

    python benchmarks/first_hour.py [--work NAME ...] [--full] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import common
from command import Bound, Command, Results
from common import stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from sklearn import datasets  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import cbackprop  # noqa: E402
from cbackprop.tables import settings  # noqa: E402

SECONDS = 20  # at most, for each
TINY_ROWS, TINY_EPOCHS = 120, 3
Pair = tuple[NDArray, NDArray]


# ---- works ----


def housing(rows: int) -> Pair:
    """Make 8 numbers of a place, and what a house is worth there, as of California's districts."""
    draw = np.random.default_rng(0)
    income = np.exp(draw.normal(1.25, 0.45, rows))
    age = draw.integers(1, 53, rows)
    rooms = np.exp(draw.normal(1.65, 0.25, rows)) * income**0.1
    bedrooms = np.exp(draw.normal(0.07, 0.1, rows))
    people = np.exp(draw.normal(7, 0.7, rows))
    occupants = np.exp(draw.normal(1.05, 0.25, rows))
    latitude = draw.uniform(32.5, 42, rows)
    inland = np.abs(draw.normal(0, 1.2, rows))  # degrees from a coast that runs north-west
    longitude = -124 + 0.95 * (42 - latitude) + inland
    cities = sum(np.exp(-2 * ((latitude - north)**2 + (longitude + west)**2))
                 for north, west in ((34.0, 116.0), (37.7, 119.5)))
    value = (0.42 * income + 0.8 * np.exp(-inland) + 1.2 * cities - 0.25 * np.log(occupants)
             + 0.2 * np.log(rooms) * np.sqrt(income) + 0.004 * age
             + 0.3 * np.sin(3 * latitude) * np.exp(-inland))
    value = np.clip(value * np.exp(draw.normal(0, 0.2, rows)), 0.15, 5.0)
    return np.column_stack([income, age, rooms, bedrooms, people, occupants, latitude,
                            longitude]), value


def covertype(rows: int) -> Pair:
    """Make 10 numbers, one of 4 areas and one of 40 soils, and which of 7 trees grow there."""
    draw = np.random.default_rng(0)
    z = draw.normal(size=(rows, 10))
    area = (draw.gumbel(size=(rows, 4)) + np.outer(z[:, 0], [1, 0, 0.3, -2])).argmax(axis=1)
    soils = z[:, :3] @ draw.normal(size=(3, 40)) + 1.2 * draw.gumbel(size=(rows, 40))
    soil = soils.argmax(axis=1)
    logits = 0.8 * np.tanh(z @ draw.normal(0, 0.6, (10, 24))) @ draw.normal(size=(24, 7))
    logits += draw.normal(size=(40, 7))[soil] + draw.normal(0, 0.8, (4, 7))[area]
    logits += np.array([2, 2.5, 0.5, -1.5, -0.5, 0, 0.3])
    trees = (logits + 0.7 * draw.gumbel(size=(rows, 7))).argmax(axis=1)
    numbers = 2750 + 300 * z * np.linspace(1, 5, 10)
    return np.column_stack([numbers, np.eye(4)[area], np.eye(40)[soil]]), trees


def mnist(full: bool) -> Pair:
    """Return digits of 784 pixels."""
    training, _ = cbackprop.datasets.load_mnist(full=full)
    return training


@dataclass(frozen=True)
class Work:
    """A data set: a function of whether it is wanted in full, and the kind of its target."""

    name: str
    load: Callable[[bool], Pair]
    kind: str = "classes"


WORKS = {work.name: work for work in (
    Work("iris", lambda full: datasets.load_iris(return_X_y=True)),
    Work("wine", lambda full: datasets.load_wine(return_X_y=True)),
    Work("breast-cancer", lambda full: datasets.load_breast_cancer(return_X_y=True)),
    Work("digits", lambda full: datasets.load_digits(return_X_y=True)),
    Work("diabetes", lambda full: datasets.load_diabetes(return_X_y=True), "numbers"),
    Work("housing", lambda full: housing(20_640), "numbers"),
    Work("covertype", lambda full: covertype(581_012 if full else 30_000)),
    Work("mnist", mnist),
)}


# ---- both ----


def theirs(work: Work, training: Pair, test: Pair, seed: int, tiny: bool) -> float:
    """Return scikit-learn's score."""
    kind = MLPClassifier if work.kind == "classes" else MLPRegressor
    more = {"max_iter": TINY_EPOCHS} if tiny else {}
    made = make_pipeline(StandardScaler(), kind(early_stopping=True, random_state=seed, **more))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made.fit(*training).score(*test)


def ours(work: Work, training: Pair, test: Pair, seed: int, tiny: bool) -> float:
    """Return the score of a network of which nothing was said but what the table is."""
    (x, y), (test_x, test_y) = training, test
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1
    x, test_x = (((part - mean) / scale).astype(np.float32) for part in (x, test_x))
    classes = int(y.max()) + 1 if work.kind == "classes" else 1
    chosen = settings.decide(work.kind, *x.shape, classes, epochs=TINY_EPOCHS if tiny else None)
    net = cbackprop.Network(**chosen.network(), seed=seed)
    x, held_x, y, held_y = split(work, x, y, chosen.values["validation_split"], seed)
    chosen.train(net, x, y, evaluation_data=(held_x, held_y))
    if work.kind == "classes":
        return net.accuracy((test_x, test_y))
    error = ((net.feedforward(test_x)[:, 0] - test_y)**2).mean()
    return float(1 - error / test_y.var())


def split(work: Work, x: NDArray, y: NDArray, share: float, seed: int) -> list[NDArray]:
    return train_test_split(x, y, test_size=share, random_state=seed,
                            stratify=y if work.kind == "classes" else None)


SIDES = {"scikit-learn": theirs, "cbackprop": ours}


def race(work: Work, full: bool, tiny: bool, seeds: int) -> dict[str, Any]:
    """Fit both by every seed, print the scores, and return everything measured."""
    x, y = work.load(full)
    if tiny:
        if work.kind == "classes":
            x, y = x[y < 2], y[y < 2]  # of more, some rows are too few to be split
        few = np.random.default_rng(0).permutation(len(x))[:TINY_ROWS]
        x, y = x[few], y[few]
    found: dict[str, Any] = {name: {"scores": [], "seconds": []} for name in SIDES}
    for seed in range(seeds):
        x0, x1, y0, y1 = split(work, x, y, 0.2, seed)
        for name, fit in SIDES.items():
            scores = found[name]["scores"]
            found[name]["seconds"].append(stopwatch(
                lambda fit=fit, scores=scores, part=(x0, y0), test=(x1, y1), seed=seed:
                scores.append(fit(work, part, test, seed, tiny))))
    for of in found.values():
        of |= {"mean": float(np.mean(of["scores"])), "std": float(np.std(of["scores"])),
               "longest": max(of["seconds"])}
    print(f"\n{work.name}: {len(x):,} rows of {x.shape[1]}")
    print(table(("accuracy" if work.kind == "classes" else "R2", "mean", "std", "seconds"), [
        (name, f"{of['mean']:.4f}", f"{of['std']:.4f}", f"{np.mean(of['seconds']):.2f}")
        for name, of in found.items()]), flush=True)
    return {"rows": len(x), "columns": x.shape[1], "sides": found}


def measure(arguments: argparse.Namespace) -> Results:
    print(f"{'seeds':<10} {arguments.repeat}; every fit is timed once, all of it")
    works = {name: race(WORKS[name], arguments.full, arguments.tiny, arguments.repeat)
             for name in arguments.work}
    bounds = []
    for name, one in works.items():
        other, own = (one["sides"][side] for side in SIDES)
        bounds += [Bound(f"{name}: score, of scikit-learn's less its standard deviation",
                         other["mean"] - other["std"], own["mean"], "{:.4f}"),
                   Bound(f"{name}: seconds", SECONDS, own["longest"], at_least=False)]
    return {"works": works, "bounds": bounds}


main = Command("first_hour", __doc__, START, measure, repeat=5, works=[*WORKS], options={
    "--full": {"action": "store_true",
               "help": "all of MNIST, and as many rows as Covertype has"}})


if __name__ == "__main__":
    main()
