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
    fast mathematics, for XNNPACK, oneDNN and YNNPACK, against concurrent scheduling. Masks of
    dropout are bytes of XLA's own generator.
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

    def traced(self, at_once, state, x, y, batches, count):
        """Take one step for each of the first mini-batches: what is traced and compiled."""
        def rows(array, batch):
            return array.at[batch].get(mode="promise_in_bounds")

        if at_once:
            x, y = rows(x, batches), rows(y, batches)
            return jax.lax.fori_loop(
                0, count, lambda i, state: self.step(state, x[i], y[i]), state)
        return jax.lax.fori_loop(
            0, count, lambda i, state: self.step(state, rows(x, batches[i]), rows(y, batches[i])),
            state)

    def step(self, state, x, y):
        """Return the parameters, and what else changes, after one step."""
        number = np.dtype(self.real).type
        work = self.work
        sigma, sigma_prime = {
            "sigmoid": (jax.nn.sigmoid, lambda a: a * (1 - a)),
            "tanh": (jnp.tanh, lambda a: 1 - a * a),
        }[work.activation]
        w, b = state["parameters"]
        last = len(w) - 1
        a = [x.astype(self.real) * number(1 / 255) if self.rows == "uint8" else x]
        seen, primes = [*a], []
        for layer in range(last + 1):  # (25)
            z = seen[-1] @ (w[layer].T if self.outputs_first else w[layer]) + b[layer]
            a.append(sigma(z))
            primes.append(sigma_prime(a[-1]))
            if work.dropout and layer < last:
                state, mask = self.mask(state, z.shape)
                seen.append(a[-1] * mask)
                primes[-1] = primes[-1] * mask
            else:
                seen.append(a[-1])
        step = -work.eta if work.optimizer == "sgd" else 1
        delta = (a[-1] - y) * primes[-1] * number(step / work.mini_batch_size)  # BP1
        nabla_w, nabla_b = [None] * (last + 1), [None] * (last + 1)
        for layer in range(last, -1, -1):  # BP4, BP3
            nabla_w[layer] = delta.T @ seen[layer] if self.outputs_first else seen[layer].T @ delta
            nabla_b[layer] = delta.sum(0)
            if layer:  # BP2
                delta = delta @ (w[layer] if self.outputs_first else w[layer].T) * primes[layer - 1]
        return self.updated(state, (nabla_w, nabla_b))

    def mask(self, state, shape):
        """Draw bytes; what they leave is 1 / (1 - rate)."""
        rate = self.work.dropout
        key, drawn = jax.lax.rng_bit_generator(state["key"], shape, np.uint8)
        kept = np.dtype(self.real).type(1 / (1 - rate))
        return state | {"key": key}, jnp.where(drawn >= round(256 * rate), kept, 0)

    def updated(self, state, nabla):
        """Return what a gradient, or its step, makes of the parameters."""
        number, each = np.dtype(self.real).type, jax.tree.map
        if self.work.optimizer == "sgd":
            return state | {"parameters": each(lambda p, g: p + g, state["parameters"], nabla)}
        beta1, beta2 = number(0.9), number(0.999)
        mean = each(lambda m, g: beta1 * m + (1 - beta1) * g, state["mean"], nabla)
        square = each(lambda v, g: beta2 * v + (1 - beta2) * g * g, state["square"], nabla)
        power1, power2 = state["powers"][0] * beta1, state["powers"][1] * beta2
        eta, root = number(self.work.eta) / (1 - power1), 1 / jnp.sqrt(1 - power2)
        parameters = each(lambda p, m, v: p - eta * m / (jnp.sqrt(v) * root + number(1e-8)),
                          state["parameters"], mean, square)
        return state | {"parameters": parameters, "mean": mean, "square": square,
                        "powers": (power1, power2)}

    def begin(self) -> None:  # noqa: D102
        weights, biases = self.start
        parameters = ([jnp.array(w if self.outputs_first else w.T, self.real) for w in weights],
                      [jnp.array(b[:, 0], self.real) for b in biases])
        self.state = {"parameters": parameters}
        if self.work.dropout:
            self.state["key"] = jnp.array([1, 2, 3, 4], np.uint32)
        if self.work.optimizer == "adam":
            self.state["mean"] = jax.tree.map(jnp.zeros_like, parameters)
            self.state["square"] = jax.tree.map(jnp.zeros_like, parameters)
            self.state["powers"] = (jnp.ones((), self.real), jnp.ones((), self.real))

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights, biases = self.state["parameters"]
        return [*(np.asarray(w if self.outputs_first else w.T) for w in weights),
                *(np.asarray(b).reshape(-1, 1) for b in biases)]

    def train(self, batches: NDArray) -> None:  # noqa: D102
        n, m = self.work.rows, self.work.mini_batch_size
        whole = np.zeros((n // m, m), np.int32)  # always as many: another shape would be compiled
        for begin in range(0, len(batches), len(whole)):
            part = batches[begin:begin + len(whole)]
            whole[:len(part)] = part
            self.state = self.compiled(
                self.state, self.x, self.y, whole, np.int32(len(part)))
        jax.block_until_ready(self.state)


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
