"""
Rows that are mostly zeros: a step of ours, of PyTorch's and of scikit-learn's, on one core.

[10000, 100, 10], mini-batches of 128, float32, 1 % of x stored. All train on the same mini-batches
from the same parameters; it is checked that they arrive at the same ones, else nothing is timed.
PyTorch's get their mini-batches as tensors, made before; ours pick theirs out of one CSR matrix.
scikit-learn's `fit` and ours share out their preparations among the steps.

    python benchmarks/sparse_steps.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import common
from command import Bound, Command, Results
from common import interleaved, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from torch.nn.functional import cross_entropy, embedding_bag  # noqa: E402

import cbackprop.sklearn  # noqa: E402
from cbackprop.optimizers import Adam  # noqa: E402

SIZES, M, STEPS, SHARE = [10_000, 100, 10], 128, 10, 0.01
ETA = {"sgd": 0.1, "adam": 0.001}
LAZY = Adam(epsilon=0.0, epsilon_hat=1e-8, lazy=True)  # epsilon as in SparseAdam
WORKS = ("sgd", "adam", "lazy_adam")
TOLERANCE = 2e-3  # of the largest update: adam divides by small roots
OURS, DENSE = "cbackprop", "cbackprop, dense rows"
FIT, OUR_FIT = "scikit-learn's fit", "cbackprop.sklearn's fit"
TO_REACH = {DENSE: 5, FIT: 1}  # times as fast; 1 for PyTorch's, too


class Ours:
    """Our `SGD`."""

    def __init__(self, work: str, x: Any, y: NDArray) -> None:
        self.net = cbackprop.Network(SIZES, activation="relu", cost="log_likelihood",
                                     dtype="float32", seed=0, threads=1)
        self.start = [p.copy() for p in (*self.net.weights, *self.net.biases)]
        self.optimizer = LAZY if work == "lazy_adam" else work
        self.x, self.y, self.eta = x, y, ETA[work.removeprefix("lazy_")]

    def train(self) -> None:
        """Train for an epoch."""
        self.net.SGD((self.x, self.y), 1, M, self.eta, optimizer=self.optimizer, shuffle=False)

    def parameters(self) -> list[NDArray]:
        """Return w, then b, of each layer."""
        return [*self.net.weights, *self.net.biases]


class Torch:
    """
    PyTorch with autograd: the first product by a form of its own, the optimizer's quickest.

    Parameters
    ----------
    first_product : callable (batch, w)
    batches : list
    """

    def __init__(
        self, work: str, first_product: Callable[..., torch.Tensor], batches: list[Any],
        y: NDArray, start: list[NDArray], sparse_gradient: bool,
    ) -> None:
        w1, w2, b1, b2 = (torch.tensor(each).contiguous() for each in (
            start[0].T, start[1].T, start[2].ravel(), start[3].ravel()))
        self.all = [each.requires_grad_() for each in (w1, w2, b1, b2)]
        self.first_product, self.batches = first_product, batches
        self.y = torch.from_numpy(y).split(M)
        eta, optim = ETA[work.removeprefix("lazy_")], torch.optim
        self.optimizers = {
            "sgd": lambda: [optim.SGD(self.all, eta, fused=not sparse_gradient)],
            "adam": lambda: [optim.Adam(self.all, eta, fused=True)],
            "lazy_adam": lambda: [optim.SparseAdam(self.all[:1], eta),
                                  optim.Adam(self.all[1:], eta, fused=True)],
        }[work]()

    def train(self) -> None:
        """Train for an epoch."""
        w1, w2, b1, b2 = self.all
        for batch, y in zip(self.batches, self.y, strict=True):
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            hidden = torch.relu(self.first_product(batch, w1) + b1)
            cross_entropy(torch.addmm(b2, hidden, w2), y).backward()
            for optimizer in self.optimizers:
                optimizer.step()

    def parameters(self) -> list[NDArray]:
        """Return w, then b, of each layer."""
        w1, w2, b1, b2 = (each.detach().numpy() for each in self.all)
        return [w1.T, w2.T, b1.reshape(-1, 1), b2.reshape(-1, 1)]


def bag(batch: tuple[torch.Tensor, ...], w: torch.Tensor, sparse_gradient: bool) -> torch.Tensor:
    indices, starts, values = batch
    return embedding_bag(indices, w, starts, mode="sum", sparse=sparse_gradient,
                         per_sample_weights=values)


def of_torch(work: str, x: Any, y: NDArray, start: list[NDArray]) -> Iterator[tuple[str, Torch]]:
    """Yield PyTorch's forms by name."""
    parts = [x[first:first + M] for first in range(0, x.shape[0], M)]
    bags = [tuple(torch.from_numpy(each) for each in (
        part.indices.astype(np.int64), part.indptr[:-1].astype(np.int64), part.data))
        for part in parts]
    if work != "lazy_adam":
        matrices = [torch.sparse_csr_tensor(part.indptr, part.indices, part.data, part.shape)
                    for part in parts]
        yield "PyTorch, CSR product", Torch(work, torch.matmul, matrices, y, start, False)
        yield "PyTorch, EmbeddingBag", Torch(
            work, partial(bag, sparse_gradient=False), bags, y, start, False)
    if work != "adam":
        yield "PyTorch, EmbeddingBag, sparse gradient", Torch(
            work, partial(bag, sparse_gradient=True), bags, y, start, True)


def fitted(module: Any, solver: str, x: Any, y: NDArray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return module.MLPClassifier(
            SIZES[1], solver=solver, alpha=0.0, batch_size=M, max_iter=1, shuffle=False,
            learning_rate_init=ETA[solver], momentum=0.0, nesterovs_momentum=False,
            random_state=0).fit(x, y)


def check(entrants: dict[str, Any], work: str, x: Any, y: NDArray) -> dict[str, float]:
    """Return each one's distance from the first, or end if it is too large."""
    first, *_ = entrants.values()
    for entrant in entrants.values():
        entrant.train()
    found = {}
    for name, entrant in entrants.items():
        of = list(zip(first.parameters(), entrant.parameters(), first.start, strict=True))
        if work == "lazy_adam":  # in the other layers, PyTorch's Adam has epsilon elsewhere
            of = of[:1]
        found[name] = max(float(abs(ours - theirs).max() / abs(ours - before).max())
                          for ours, theirs, before in of)
    if work != "lazy_adam":
        theirs, ours = (fitted(module, work, x, y) for module in (
            neural_network, cbackprop.sklearn))
        found[FIT] = abs(theirs.loss_ - ours.loss_) / theirs.loss_
    for name, distance in found.items():
        if not distance <= TOLERANCE:
            raise SystemExit(f"{work}: {name} differs by {distance:.1e}: not timed")
    return found


def race(work: str, x: Any, y: NDArray, repeat: int) -> dict[str, Any]:
    """Check, time and print one work; return everything measured."""
    entrants: dict[str, Any] = {OURS: Ours(work, x, y)}
    start = entrants[OURS].start
    if work != "lazy_adam":
        entrants[DENSE] = Ours(work, x.toarray(), y)
    entrants |= of_torch(work, x, y, start)
    distances = check(entrants, work, x, y)
    calls = {name: entrant.train for name, entrant in entrants.items()}
    if work != "lazy_adam":
        calls |= {FIT: partial(fitted, neural_network, work, x, y),
                  OUR_FIT: partial(fitted, cbackprop.sklearn, work, x, y)}
    timings = dict(zip(calls, interleaved(
        [partial(stopwatch, call) for call in calls.values()], repeat), strict=True))
    n_steps = -(-x.shape[0] // M)
    ratios = {name: timing.best / timings[OUR_FIT if name == FIT else OURS].best
              for name, timing in timings.items() if name not in (OURS, OUR_FIT)}
    print(f"\n{work}: {SIZES}, mini-batches of {M}, {100 * SHARE:g} % stored; ms of a step")
    print(table(("", "min", "median", "ours is as fast"), [
        (name, f"{1e3 * timing.best / n_steps:.3f}", f"{1e3 * timing.median / n_steps:.3f}",
         times(ratios[name]) if name in ratios else "")
        for name, timing in timings.items()]))
    return {"steps": n_steps, "distances": distances, "times": ratios,
            "found": {name: timing.as_dict() for name, timing in timings.items()}}


def measure(arguments: argparse.Namespace) -> Results:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Sparse", UserWarning)  # PyTorch's: a beta; unchecked
    n = M * (2 if arguments.tiny else STEPS)
    print(f"{'timing':<10} rounds of all in turns, an epoch of {n:,} rows each: "
          f"{arguments.repeat}")
    x = sparse.random(n, SIZES[0], SHARE, "csr", np.float32, 0)
    x.sort_indices()
    y = np.random.default_rng(0).integers(0, SIZES[-1], n)
    results = {work: race(work, x, y, arguments.repeat) for work in arguments.work}
    return {"works": results, "bounds": [
        Bound(f"{work}, times as fast as {name}", TO_REACH.get(name, 1), ratio)
        for work, result in results.items() for name, ratio in result["times"].items()]}


main = Command("sparse_steps", __doc__, START, measure, repeat=20, works=WORKS)


if __name__ == "__main__":
    main()
