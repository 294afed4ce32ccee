"""
Products of bfloat16: ours beside our float32, PyTorch's and JAX's bfloat16, on one core.

An epoch of each work, rows of float32, the order drawn in it, plain descent, sigmoid, quadratic
cost. "mixed" forms keep float32 parameters and round what they multiply, as ours does; "whole" ones
keep parameters and everything else in bfloat16, and lose small updates. What one step changes is
compared with float64 before anything is timed; then all are timed in turns.

    python benchmarks/bfloat16.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]

Where the CPU has no products of bfloat16, ours has the same bits by multiply-adds of float32: the
first line says so, and the ratios are then no claim.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import common
from command import Bound, Command, Results
from common import WORKS, Peak, Work, interleaved, stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from opponents import load  # noqa: E402

import cbackprop  # noqa: E402
from cbackprop import precision  # noqa: E402

CASES = ("784-512-512-10", "784-2048-2048-10", "784-128-32-128-784", "64-64-64-8", "784-100-10",
         "784-30-10")
ROWS = {"784-512-512-10": 6_400, "784-2048-2048-10": 2_560, "784-128-32-128-784": 6_400}
OURS, FLOAT32 = "cbackprop bfloat16", "cbackprop float32"
TO_REACH = {  # times as fast as our float32, and as the fastest of the others
    "784-512-512-10": (1.85, 1.6), "784-2048-2048-10": (1.9, 1.13), "784-128-32-128-784": (1.7, 1),
    "64-64-64-8": (1.5, 1), "784-100-10": (1.5, 1), "784-30-10": (1.3, 1)}
TOLERANCE = 0.03  # of the norm of the update; a whole bfloat16 parameter may be off by 2^-9
STEPS = 10  # in one graph of torch.compile
Arrays = list[NDArray]


class Ours:
    """`Network.SGD`."""

    def __init__(self, work: Work, x: NDArray, y: NDArray, compute_dtype: str | None) -> None:
        self.net = cbackprop.Network(work.sizes, compute_dtype=compute_dtype, seed=0, threads=1)
        self.work, self.data = work, (x, y)

    def epoch(self) -> None:
        """Train once on all rows."""
        self.net.SGD(self.data, 1, self.work.mini_batch_size, self.work.eta)

    def step(self) -> Arrays:
        """Train on the first mini-batch; return w and b of all layers, as (out, in), (out, 1)."""
        m = self.work.mini_batch_size
        x, y = self.data
        self.net.SGD((x[:m], y[:m]), 1, m, self.work.eta, shuffle=False)
        return [*self.net.weights, *self.net.biases]


class Torch:
    """PyTorch by hand and without autograd, parameters (in, out), one operator after another."""

    def __init__(self, work: Work, x: NDArray, y: NDArray, form: str) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch, self.work, self.form = torch, work, form
        self.random = np.random.default_rng(0)
        whole, compiled = form.startswith("whole"), form.endswith("compiled")
        start = cbackprop.Network(work.sizes, seed=0)
        kept = torch.bfloat16 if whole else torch.float32
        self.w = [torch.tensor(w.T.copy()).to(kept) for w in start.weights]
        self.b = [torch.tensor(b[:, 0].copy()).to(kept) for b in start.biases]
        self.x, self.y = torch.from_numpy(x).to(kept), torch.from_numpy(y).to(kept)
        self.take = self.whole if whole else self.mixed
        self.steps = 1
        if compiled:
            self.steps = min(STEPS, len(x) // work.mini_batch_size)
            self.take = torch.compile(self.several(self.take), fullgraph=True, dynamic=False)

    def several(self, take: Callable[..., None]) -> Callable[..., None]:
        """Return some steps as one."""
        def steps(batches: Any) -> None:
            for batch in batches.unbind():
                take(batch)

        return steps

    def whole(self, batch: Any) -> None:
        """Take a step in bfloat16 alone."""
        torch, w, b = self.torch, self.w, self.b
        a = [self.x[batch]]
        for w_l, b_l in zip(w, b, strict=True):
            a.append(torch.addmm(b_l, a[-1], w_l).sigmoid())
        delta = (a[-1] - self.y[batch]) * a[-1] * (1 - a[-1])
        step = -self.work.eta / self.work.mini_batch_size
        for layer in range(len(w) - 1, -1, -1):
            above = delta @ w[layer].T * a[layer] * (1 - a[layer]) if layer else None
            w[layer].addmm_(a[layer].T, delta, alpha=step)
            b[layer].add_(delta.sum(0), alpha=step)
            delta = above

    def mixed(self, batch: Any) -> None:
        """Take a step as `torch.autocast` does: only products are in bfloat16."""
        torch, w, b = self.torch, self.w, self.b
        low, high = torch.bfloat16, torch.float32
        a, a_low, w_low = [self.x[batch]], [], [w_l.to(low) for w_l in w]
        for w_l, b_l in zip(w_low, b, strict=True):
            a_low.append(a[-1].to(low))
            a.append((torch.mm(a_low[-1], w_l).to(high) + b_l).sigmoid())
        delta = (a[-1] - self.y[batch]) * a[-1] * (1 - a[-1])
        step = -self.work.eta / self.work.mini_batch_size
        for layer in range(len(w) - 1, -1, -1):
            delta_low = delta.to(low)
            if layer:
                above = torch.mm(delta_low, w_low[layer].T).to(high) * a[layer] * (1 - a[layer])
            w[layer].add_(torch.mm(a_low[layer].T, delta_low).to(high), alpha=step)
            b[layer].add_(delta.sum(0), alpha=step)
            delta = above if layer else delta

    def epoch(self) -> None:
        """Train once on all rows."""
        torch, m = self.torch, self.work.mini_batch_size
        order = torch.from_numpy(self.random.permutation(len(self.x)))
        with torch.inference_mode():
            batches = order[:len(order) // (m * self.steps) * m * self.steps].view(-1, m)
            for some in batches.split(self.steps) if self.steps > 1 else batches.unbind():
                self.take(some)

    def step(self) -> Arrays:
        """Train on the first mini-batch."""
        take = self.whole if self.form.startswith("whole") else self.mixed
        with self.torch.inference_mode():
            take(self.torch.arange(self.work.mini_batch_size))
        return [*(w.T.float().numpy() for w in self.w),
                *(b.float().numpy()[:, None] for b in self.b)]


class Jax:
    """JAX: the whole epoch in one jitted loop, parameters (in, out)."""

    def __init__(self, work: Work, x: NDArray, y: NDArray, form: str) -> None:
        import jax
        import jax.numpy as jnp

        self.jax, self.work, self.random = jax, work, np.random.default_rng(0)
        kept = jnp.bfloat16 if form == "whole" else jnp.float32
        start = cbackprop.Network(work.sizes, seed=0)
        self.parameters = ([jnp.asarray(w.T, kept) for w in start.weights],
                           [jnp.asarray(b[:, 0], kept) for b in start.biases])
        self.x, self.y = jnp.asarray(x, kept), jnp.asarray(y, kept)
        low = jnp.bfloat16 if form == "mixed" else kept
        scale = work.eta / work.mini_batch_size

        def times(a: Any, b: Any) -> Any:
            return jnp.matmul(a.astype(low), b.astype(low), preferred_element_type=kept)

        def step(parameters: Any, batch: Any) -> Any:
            w, b = parameters
            a = [self.x[batch]]
            for w_l, b_l in zip(w, b, strict=True):
                a.append(jax.nn.sigmoid(times(a[-1], w_l) + b_l))
            delta = (a[-1] - self.y[batch]) * a[-1] * (1 - a[-1])
            new_w, new_b = list(w), list(b)
            for layer in range(len(w) - 1, -1, -1):
                new_w[layer] = (w[layer] - scale * times(a[layer].T, delta)).astype(kept)
                new_b[layer] = (b[layer] - scale * delta.sum(0)).astype(kept)
                if layer:
                    delta = times(delta, w[layer].T) * a[layer] * (1 - a[layer])
            return (new_w, new_b), None

        self.train = jax.jit(lambda parameters, batches: jax.lax.scan(step, parameters, batches)[0])

    def epoch(self) -> None:
        """Train once on all rows."""
        order = self.random.permutation(len(self.x))
        self.parameters = self.train(
            self.parameters, order.reshape(-1, self.work.mini_batch_size))
        self.jax.block_until_ready(self.parameters)

    def step(self) -> Arrays:
        """Train on the first mini-batch."""
        w, b = self.train(self.parameters, np.arange(self.work.mini_batch_size)[None])
        return [*(np.asarray(w_l.T, np.float32) for w_l in w),
                *(np.asarray(b_l, np.float32)[:, None] for b_l in b)]


FORMS = {  # of each opponent: what it is called, and its forms
    "PyTorch eager": ("PyTorch bfloat16", Torch,
                      ("mixed", "whole", "mixed, compiled", "whole, compiled")),
    "JAX": ("JAX bfloat16", Jax, ("mixed", "whole", "float32")),
}


def contestants(
    work: Work, x: NDArray, y: NDArray, installed: Iterable[str], compiled: bool
) -> dict[str, Any]:
    """Return all that are installed; compiling those of PyTorch takes a minute each."""
    found: dict[str, Any] = {OURS: Ours(work, x, y, precision.BFLOAT16),
                             FLOAT32: Ours(work, x, y, None)}
    for opponent in installed:
        name, made, forms = FORMS[opponent]
        for form in forms:
            if compiled or not form.endswith("compiled"):
                who = "JAX float32" if form == "float32" else f"{name}, {form}"
                found[who] = made(work, x, y, form)
    return found


def check(work: Work, x: NDArray, y: NDArray, installed: Iterable[str]) -> dict[str, float]:
    """Return how far each one's first update is from float64's, as a share of its norm; or end."""
    exact = cbackprop.Network(work.sizes, seed=0)
    start = [p.astype(np.float64) for p in (*exact.weights, *exact.biases)]
    twin = cbackprop.Network(work.sizes, dtype="float64", initializer=(
        list(exact.weights), list(exact.biases)))
    m = work.mini_batch_size
    twin.SGD((x[:m], y[:m]), 1, m, work.eta, shuffle=False)
    wanted = np.concatenate([(p - s).ravel() for p, s in zip(
        (*twin.weights, *twin.biases), start, strict=True)])
    apart = {}
    for name, one in contestants(work, x, y, installed, compiled=False).items():
        update = np.concatenate([(p - s).ravel() for p, s in zip(one.step(), start, strict=True)])
        apart[name] = float(np.linalg.norm(update - wanted) / np.linalg.norm(wanted))
        held = np.linalg.norm(np.concatenate([s.ravel() for s in start])) / np.linalg.norm(wanted)
        allowed = TOLERANCE + ("whole" in name) * 2**-8 * float(held)
        if not apart[name] < allowed:
            raise SystemExit(f"{work.name}: the update of {name} is off by {apart[name]:.1e}, and "
                             f"only {allowed:.1e} is rounding: nothing is timed")
    return apart


def contest(work: Work, repeat: int, installed: Iterable[str], compiled: bool) -> dict[str, Any]:
    """Check, and time one work."""
    rng = np.random.default_rng(2)
    x = rng.random((work.rows, work.sizes[0]), np.float32)
    y = x if work.autoencoder else np.eye(work.sizes[-1], dtype=np.float32)[
        rng.integers(0, work.sizes[-1], work.rows)]
    apart = check(work, x, y, installed)
    all_of_them = contestants(work, x, y, installed, compiled)
    for one in all_of_them.values():
        one.epoch()  # compiles, and finds its memory
    timings = interleaved([partial(stopwatch, one.epoch) for one in all_of_them.values()], repeat)
    return {"sizes": work.sizes, "mini_batch_size": work.mini_batch_size, "rows": work.rows,
            "off": apart, "flops": work.rows * work.flops_per_row,
            "seconds": {name: timing.as_dict()
                        for name, timing in zip(all_of_them, timings, strict=True)}}


def measure(arguments: argparse.Namespace) -> Results:
    print(f"bfloat16 {precision.how_bfloat16()}")
    peak = Peak("float32")
    top = peak.flops / min(peak.measure() for _ in range(5))
    works, bounds = {}, []
    for name in arguments.work:
        work = WORKS[name]
        work = work.tiny() if arguments.tiny else Work(**vars(work) | {
            "rows": ROWS.get(name, work.rows)})
        works[name] = one = contest(work, arguments.repeat, arguments.modules,
                                    compiled=not arguments.tiny)
        print(f"\n{work}")
        print(table(("", "ms, min", "median", "of float32's peak", "update off by"), [
            (who, f"{1e3 * timing['best']:.2f}", f"{1e3 * timing['median']:.2f}",
             f"{one['flops'] / timing['best'] / top:.0%}",
             f"{one['off'][who]:.1e}" if who in one["off"] else "")
            for who, timing in one["seconds"].items()]))
        ours = one["seconds"][OURS]["best"]
        others = [timing["best"] for who, timing in one["seconds"].items()
                  if not who.startswith("cbackprop")]
        of_float32, of_others = TO_REACH[name]
        bounds.append(Bound(f"{name}: times as fast as our float32", of_float32,
                            one["seconds"][FLOAT32]["best"] / ours))
        if others:
            bounds.append(Bound(f"{name}: times as fast as the next", of_others,
                                min(others) / ours))
    return {"peak_flops_per_second": {"float32": top}, "bfloat16": precision.how_bfloat16(),
            "works": works, "bounds": bounds}


main = Command("bfloat16", __doc__, START, measure, repeat=9, works=CASES,
               load=lambda arguments: load(["torch", "jax"], threads=1),
               aim="a CPU with products of bfloat16")


if __name__ == "__main__":
    main()
