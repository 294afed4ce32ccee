"""JAX: the whole epoch in one jitted loop."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import REALS, Work
from numpy.typing import NDArray

from opponents.contestant import Contestant, Examples
from opponents.feedforward import Call, Trained

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)  # allows float64; float32 stays what it is


class Loop(Contestant):
    """
    JAX over the whole epoch: one call, in which XLA fuses what it can, its parameters donated.

    Rows are gathered mini-batch by mini-batch, or all before the loop. The order is drawn by NumPy,
    which takes less time than JAX. Tried, and not faster on a Zen 4: `scan`, and XLA's options for
    fast mathematics, for XNNPACK, oneDNN and YNNPACK, against concurrent scheduling.
    """

    opponent = "JAX"

    def __init__(
        self, work: Work, examples: Examples, real: str, rows: str, outputs_first: bool,
        at_once: bool, width: int | None = None,
    ) -> None:
        super().__init__(work, examples, real, rows)
        self.form = ("w (out, in)" if outputs_first else "w (in, out)")
        self.form += ", rows gathered before" * at_once + f", {width} bits" * (width is not None)
        self.outputs_first, self.in_part = outputs_first, not at_once
        self.x, self.y = jnp.asarray(self.x), jnp.asarray(self.y)
        self.compiled = jax.jit(
            partial(self.traced, at_once), donate_argnums=0,
            compiler_options=width and {"xla_cpu_prefer_vector_width": str(width)})

    def traced(self, at_once, parameters, x, y, batches, count):
        """Take one step for each of the first mini-batches: what is traced and compiled."""
        def rows(array, batch):
            return array.at[batch].get(mode="promise_in_bounds")

        if at_once:
            x, y = rows(x, batches), rows(y, batches)
            return jax.lax.fori_loop(
                0, count, lambda i, p: self.step(p, x[i], y[i]), parameters)
        return jax.lax.fori_loop(
            0, count, lambda i, p: self.step(p, rows(x, batches[i]), rows(y, batches[i])),
            parameters)

    def step(self, parameters, x, y):
        """Return the parameters after one step."""
        number = np.dtype(self.real).type
        work = self.work
        sigma, sigma_prime = {
            "sigmoid": (jax.nn.sigmoid, lambda a: a * (1 - a)),
            "tanh": (jnp.tanh, lambda a: 1 - a * a),
        }[work.activation]
        w, b = parameters
        w, b = list(w), list(b)
        a = [x.astype(self.real) * number(1 / 255) if self.rows == "uint8" else x]
        for w_l, b_l in zip(w, b, strict=True):  # (25)
            a.append(sigma(a[-1] @ (w_l.T if self.outputs_first else w_l) + b_l))
        delta = (a[-1] - y) * sigma_prime(a[-1]) * number(-work.eta / work.mini_batch_size)  # BP1
        for layer in range(len(w) - 1, -1, -1):
            above, w_l = delta, w[layer]
            if layer:  # BP2
                delta = above @ (w_l if self.outputs_first else w_l.T) * sigma_prime(a[layer])
            w[layer] = w_l + (above.T @ a[layer] if self.outputs_first else a[layer].T @ above)
            b[layer] = b[layer] + above.sum(0)  # BP4 above, BP3 here
        return w, b

    def begin(self) -> None:  # noqa: D102
        weights, biases = self.start
        self.p = ([jnp.array(w if self.outputs_first else w.T, self.real) for w in weights],
                  [jnp.array(b[:, 0], self.real) for b in biases])

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights, biases = self.p
        return [*(np.asarray(w if self.outputs_first else w.T) for w in weights),
                *(np.asarray(b).reshape(-1, 1) for b in biases)]

    def train(self, batches: NDArray) -> None:  # noqa: D102
        n, m = self.work.rows, self.work.mini_batch_size
        whole = np.zeros((n // m, m), np.int32)  # always as many: another shape would be compiled
        for begin in range(0, len(batches), len(whole)):
            part = batches[begin:begin + len(whole)]
            whole[:len(part)] = part
            self.p = self.compiled(self.p, self.x, self.y, whole, np.int32(len(part)))
        jax.block_until_ready(self.p)


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        for rows in (real, "uint8"):
            yield Loop(work, examples, real, rows, outputs_first=False, at_once=False)
            yield Loop(work, examples, real, rows, outputs_first=True, at_once=False)
            yield Loop(work, examples, real, rows, outputs_first=True, at_once=True)
            yield Loop(work, examples, real, rows, outputs_first=True, at_once=False, width=512)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    b = [jnp.asarray(b) for b in net.biases]
    given = jnp.asarray(x[0] if len(x) == 1 else x)
    for outputs_first in (True, False):
        w = [jnp.asarray(w if outputs_first else w.T) for w in net.weights]

        def feedforward(a, w=w, outputs_first=outputs_first):
            for w_l, b_l in zip(w, b, strict=True):
                a = jax.nn.sigmoid(a @ (w_l.T if outputs_first else w_l) + b_l)
            return a

        compiled = jax.jit(feedforward)
        yield Call(Loop.opponent, "w (out, in)" if outputs_first else "w (in, out)",
                   lambda compiled=compiled: compiled(given).block_until_ready())
