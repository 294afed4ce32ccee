"""
Many equal small networks: as lanes, one after another, and by others, on one core.

Epochs of all networks, the orders of the rows drawn in them: float32, plain descent, sigmoid,
quadratic cost. JAX runs `vmap` over the networks in one `scan`, PyTorch `torch.baddbmm`. What one
step leaves is compared before anything is timed; then all are timed in turns.

    python benchmarks/ensembles.py [--sweeps] [--repeat N] [--tiny] [--json FILE]

Sweeps have the time of lanes over that of single training, by the number of networks, their width
and the mini-batch: `report.py` draws them, and `lanes.worthwhile` follows from them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import common
from command import Bound, Command, Results
from common import Peak, interleaved, stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from opponents import load  # noqa: E402

import cbackprop  # noqa: E402

CASES = [  # networks, sizes, mini-batch
    (64, (2, 8, 1), 32), (64, (8, 16, 16, 1), 32), (64, (4, 32, 32, 2), 64),
    (16, (64, 64, 64, 8), 64),
]
ROWS, ETA = 3200, 0.1
EPOCHS = 20  # of a measurement
TINY = [(3, (2, 3, 1), 4)]
LANES = "lanes, own order"
Epoch = Callable[[], object]
Case = tuple[int, tuple[int, ...], int]


def networks(count: int, sizes: tuple[int, ...]) -> list[cbackprop.Network]:
    return [cbackprop.Network(sizes, seed=seed, threads=1) for seed in range(count)]


def data(sizes: tuple[int, ...], rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((rows, sizes[0])).astype(np.float32),
            rng.random((rows, sizes[-1])).astype(np.float32))


def lanes(count: int, sizes: tuple[int, ...], m: int, rows: int, **how: object) -> Epoch:
    ensemble, (x, y) = cbackprop.Ensemble(networks(count, sizes)), data(sizes, rows)
    return lambda: ensemble.SGD((x, y), EPOCHS, m, ETA, threads=1, **how)


def singles(count: int, sizes: tuple[int, ...], m: int, rows: int) -> Epoch:
    nets, (x, y) = networks(count, sizes), data(sizes, rows)
    return lambda: [net.SGD((x, y), EPOCHS, m, ETA) for net in nets]


def stacked(nets: Iterable[cbackprop.Network]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights (networks, in, out) and biases (networks, 1, out) of each layer."""
    nets = list(nets)
    return [(np.array([net.weights[at].T for net in nets]),
             np.array([net.biases[at].T for net in nets])) for at in range(len(nets[0].weights))]


def orders(count: int, rows: int, shuffled: bool = True) -> Callable[[], np.ndarray]:
    """Return what draws an order for each network; NumPy is quicker at it than JAX and PyTorch."""
    rng, unshuffled = np.random.default_rng(0), np.tile(np.arange(rows, dtype=np.int32), (count, 1))
    return lambda: rng.permuted(unshuffled, axis=1) if shuffled else unshuffled


def jax_scan(
    count: int, sizes: tuple[int, ...], m: int, rows: int, own: bool, shuffled: bool = True,
) -> Epoch:
    import jax
    import jax.numpy as jnp

    x, y = map(jnp.asarray, data(sizes, rows))
    draw = orders(count if own else 1, rows, shuffled)
    parameters = jax.tree.map(jnp.asarray, stacked(networks(count, sizes)))
    steps = rows // m

    def cost(network, x, y):
        for w, b in network:
            x = jax.nn.sigmoid(x @ w + b)
        return 0.5 * jnp.sum((x - y) ** 2) / m

    def step(network, batch):
        gradient = jax.grad(cost)(network, *batch)
        return jax.tree.map(lambda p, g: p - ETA * g, network, gradient)

    @jax.jit
    def epoch(parameters, drawn):
        batches = drawn[:, :steps * m].reshape(-1, steps, m).swapaxes(0, 1)
        batches = batches if own else batches[:, 0]

        def one(parameters, batch):
            axes = (0, (0, 0)) if own else (0, None)
            return jax.vmap(step, axes)(parameters, (x[batch], y[batch])), None

        return jax.lax.scan(one, parameters, batches)[0]

    def run():
        nonlocal parameters
        for _ in range(EPOCHS if shuffled else 1):
            parameters = epoch(parameters, draw())
        return jax.block_until_ready(parameters)

    return run


def torch_bmm(
    count: int, sizes: tuple[int, ...], m: int, rows: int, epochs: int = EPOCHS
) -> Epoch:
    import torch

    torch.set_num_threads(1)
    x, y = map(torch.from_numpy, data(sizes, rows))
    draw = orders(count, rows)
    layers = [[torch.from_numpy(w).requires_grad_(), torch.from_numpy(b).requires_grad_()]
              for w, b in stacked(networks(count, sizes))]
    optimizer = torch.optim.SGD([p for layer in layers for p in layer], ETA)

    def run():
        for _ in range(epochs):
            order = torch.from_numpy(draw())
            for first in range(0, rows, m):
                step(order[:, first:first + m])
        return layers

    def step(batch):
        a = x[batch]
        for w, b in layers:
            a = torch.sigmoid(torch.baddbmm(b, a, w))
        optimizer.zero_grad()
        (0.5 * ((a - y[batch]) ** 2).sum() / batch.shape[1]).backward()
        optimizer.step()

    return run


def same_results(sizes: tuple[int, ...], m: int, installed: Iterable[str]) -> None:
    """Compare one step of all contestants, on rows in their order."""
    ensemble, nets = cbackprop.Ensemble(networks(3, sizes)), networks(3, sizes)
    ensemble.SGD(data(sizes, m), 1, m, ETA, shuffle=False)
    for net in nets:
        net.SGD(data(sizes, m), 1, m, ETA, shuffle=False)
    expected = [w for w, _ in stacked(ensemble)]
    weights = {"one after another": [w for w, _ in stacked(nets)]}
    if "JAX" in installed:
        weights["JAX"] = [np.asarray(w) for w, _ in jax_scan(3, sizes, m, m, True, False)()]
    if "PyTorch eager" in installed:
        weights["PyTorch"] = [w.detach().numpy() for w, _ in torch_bmm(3, sizes, m, m, 1)()]
    for who, given in weights.items():
        for a, b in zip(given, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5, err_msg=who)


def seconds(epoch: Epoch) -> float:
    """Return the time of one epoch."""
    return stopwatch(epoch) / EPOCHS


def best(epochs: dict[str, Epoch], repeat: int) -> dict[str, Any]:
    """Time all in turns, after a first call that compiles."""
    for epoch in epochs.values():
        epoch()
    timings = interleaved([partial(seconds, epoch) for epoch in epochs.values()], repeat)
    return {name: timing.as_dict() for name, timing in zip(epochs, timings, strict=True)}


def contest(case: Case, rows: int, repeat: int, installed: Iterable[str]) -> dict[str, Any]:
    """Check, and time one case."""
    count, sizes, m = case
    same_results(sizes, m, installed)
    epochs = {LANES: lanes(count, sizes, m, rows),
              "lanes, one order": lanes(count, sizes, m, rows, same_order=True),
              "lanes, adam": lanes(count, sizes, m, rows, optimizer="adam"),
              "one after another": singles(count, sizes, m, rows)}
    if "JAX" in installed:
        epochs["JAX, own order"] = jax_scan(count, sizes, m, rows, True)
        epochs["JAX, one order"] = jax_scan(count, sizes, m, rows, False)
    if "PyTorch eager" in installed:
        epochs["PyTorch"] = torch_bmm(count, sizes, m, rows)
    weights = sum(a * b for a, b in pairwise(sizes))
    return {"networks": count, "sizes": sizes, "mini_batch_size": m, "rows": rows,
            "flops": 2 * count * rows * (3 * weights - sizes[0] * sizes[1]),
            "seconds": best(epochs, repeat)}


def ratio(count: int, width: int, m: int, rows: int, repeat: int) -> float:
    """Return the time of lanes, by that of single training."""
    sizes = (width, width, width, 1)
    found = best({LANES: lanes(count, sizes, m, rows), "singles": singles(count, sizes, m, rows)},
                 repeat)
    return found[LANES]["best"] / found["singles"]["best"]


SWEEPS: dict[str, tuple[Sequence[int], Callable[[int], tuple[int, int, int]]]] = {
    "networks": ((1, 2, 3, 4, 6, 8, 9, 12, 16, 17, 24, 32, 64, 256, 1024, 4096),
                 lambda count: (count, 8, 32)),
    "width": ((2, 4, 8, 16, 32, 64, 128, 256), lambda width: (16, width, 32)),
    "mini-batch": ((1, 4, 16, 32, 64, 256), lambda m: (16, 16, m)),
}


def sweeps(tiny: bool, repeat: int) -> dict[str, dict[int, float]]:
    """Return the ratio at each point of the figure."""
    found: dict[str, dict[int, float]] = {}
    for name, (values, point) in SWEEPS.items():
        found[name] = {}
        for value in values[:2] if tiny else values:
            count, width, m = point(value)
            is_long = count * width * width > 2**17
            rows = 64 if tiny or is_long else 640
            found[name][value] = ratio(count, width, m, max(rows, m), 1 if is_long else repeat)
    return found


def measure(arguments: argparse.Namespace) -> Results:
    peak = Peak("float32")
    top = peak.flops / min(peak.measure() for _ in range(5))
    works, bounds = {}, []
    for case in TINY if arguments.tiny else CASES:
        count, sizes, m = case
        name = f"{count} of {list(sizes)} x{m}"
        works[name] = one = contest(case, 8 if arguments.tiny else ROWS, arguments.repeat,
                                    arguments.modules)
        print(f"\n{name}")
        print(table(("", "ms, min", "median", "GFLOP/s", "of the peak"), [
            (who, f"{1e3 * timing['best']:.2f}", f"{1e3 * timing['median']:.2f}",
             f"{1e-9 * one['flops'] / timing['best']:.1f}",
             f"{one['flops'] / timing['best'] / top:.0%}")
            for who, timing in one["seconds"].items()]))
        best_of_others = min(timing["best"] for who, timing in one["seconds"].items()
                             if not who.startswith("lanes"))
        bounds.append(Bound(f"{name}: times as fast as the next", 1,
                            best_of_others / one["seconds"][LANES]["best"]))
    found = {}
    if arguments.sweeps:
        found["sweeps"] = sweeps(arguments.tiny, arguments.repeat)
        print("\ntime as lanes / one after another")
        for name, points in found["sweeps"].items():
            print(f"{name:<10} " + ", ".join(f"{at}: {value:.2f}" for at, value in points.items()))
    return {"peak_flops_per_second": {"float32": top}, "works": works, "bounds": bounds, **found}


main = Command(
    "ensembles", __doc__, START, measure, repeat=15,
    load=lambda arguments: load(["torch", "jax"], threads=1),
    options={"--sweeps": {"action": "store_true",
                          "help": "also the number of networks, the width and the mini-batch"}})


if __name__ == "__main__":
    main()
