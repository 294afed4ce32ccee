"""Numba: the whole epoch compiled, in explicit loops."""

from collections.abc import Callable, Iterator
from functools import cache

import numba
import numpy as np
from common import REALS, Work
from numpy.typing import NDArray

from opponents.contestant import MOST_ROUNDINGS, Contestant, Examples
from opponents.feedforward import Call, Trained

set_threads = numba.set_num_threads  # though its loops here have only one
jit = numba.njit(fastmath=True, error_model="numpy")
inlined = numba.njit(fastmath=True, error_model="numpy", inline="always")


# ---- two products, of which all others are made; their inner loops are those LLVM vectorises ----


@jit
def dots(out, a, b):
    """out[r, c] += sum_p a[r, p] b[c, p]: 5 x 3 sums in registers, vectorised over p."""
    rows, columns, depth = len(a), len(b), a.shape[1]
    zero = a.dtype.type(0)
    for r in range(0, rows, 5):
        # At the edges, the last row again instead of none: its sums are not kept.
        r1, r2 = min(r + 1, rows - 1), min(r + 2, rows - 1)
        r3, r4 = min(r + 3, rows - 1), min(r + 4, rows - 1)
        a0, a1, a2, a3, a4 = a[r], a[r1], a[r2], a[r3], a[r4]
        o0, o1, o2, o3, o4 = out[r], out[r1], out[r2], out[r3], out[r4]
        for c in range(0, columns, 3):
            b0, b1, b2 = b[c], b[min(c + 1, columns - 1)], b[min(c + 2, columns - 1)]
            s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = zero
            s30 = s31 = s32 = s40 = s41 = s42 = zero
            for p in range(depth):
                s00 += a0[p] * b0[p]
                s01 += a0[p] * b1[p]
                s02 += a0[p] * b2[p]
                s10 += a1[p] * b0[p]
                s11 += a1[p] * b1[p]
                s12 += a1[p] * b2[p]
                s20 += a2[p] * b0[p]
                s21 += a2[p] * b1[p]
                s22 += a2[p] * b2[p]
                s30 += a3[p] * b0[p]
                s31 += a3[p] * b1[p]
                s32 += a3[p] * b2[p]
                s40 += a4[p] * b0[p]
                s41 += a4[p] * b1[p]
                s42 += a4[p] * b2[p]
            for j in range(min(3, columns - c)):
                o0[c + j] += (s00, s01, s02)[j]
                if r1 > r:
                    o1[c + j] += (s10, s11, s12)[j]
                if r2 > r1:
                    o2[c + j] += (s20, s21, s22)[j]
                if r3 > r2:
                    o3[c + j] += (s30, s31, s32)[j]
                if r4 > r3:
                    o4[c + j] += (s40, s41, s42)[j]


@jit
def add_products(out, a, b):
    """out[r, :] += sum_p a[p, r] b[p, :]: two rows and five products at a time."""
    rows, columns, depth = len(out), b.shape[1], len(b)
    whole = depth - depth % 5
    for r in range(0, rows - 1, 2):
        o, q = out[r], out[r + 1]
        for p in range(0, whole, 5):
            b0, b1, b2, b3, b4 = b[p], b[p + 1], b[p + 2], b[p + 3], b[p + 4]
            x0, x1, x2, x3, x4 = a[p, r], a[p + 1, r], a[p + 2, r], a[p + 3, r], a[p + 4, r]
            s = r + 1
            y0, y1, y2, y3, y4 = a[p, s], a[p + 1, s], a[p + 2, s], a[p + 3, s], a[p + 4, s]
            for c in range(columns):
                c0, c1, c2, c3, c4 = b0[c], b1[c], b2[c], b3[c], b4[c]
                o[c] += x0 * c0 + x1 * c1 + x2 * c2 + x3 * c3 + x4 * c4
                q[c] += y0 * c0 + y1 * c1 + y2 * c2 + y3 * c3 + y4 * c4
        for p in range(whole, depth):
            b0, x0, y0 = b[p], a[p, r], a[p, r + 1]
            for c in range(columns):
                o[c] += x0 * b0[c]
                q[c] += y0 * b0[c]
    if rows % 2:
        o, r = out[rows - 1], rows - 1
        for p in range(0, whole, 5):
            b0, b1, b2, b3, b4 = b[p], b[p + 1], b[p + 2], b[p + 3], b[p + 4]
            x0, x1, x2, x3, x4 = a[p, r], a[p + 1, r], a[p + 2, r], a[p + 3, r], a[p + 4, r]
            for c in range(columns):
                o[c] += x0 * b0[c] + x1 * b1[c] + x2 * b2[c] + x3 * b3[c] + x4 * b4[c]
        for p in range(whole, depth):
            b0, x0 = b[p], a[p, r]
            for c in range(columns):
                o[c] += x0 * b0[c]


# ---- sigma: Numba calls libm's exp for one number at a time, where it has no SVML ----


@inlined
def exp32(z):
    """Return e^z, within 2 ulp: 2^n e^r with |r| <= ln 2 / 2."""
    one = np.float32(1)
    z = min(max(z, np.float32(-87)), np.float32(87))
    n = np.floor(z * np.float32(1.44269504) + np.float32(0.5))
    r = z - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)  # ln 2 in two parts
    e = one + r * (one + r * (np.float32(1 / 2) + r * (np.float32(1 / 6) + r * (
        np.float32(1 / 24) + r * (np.float32(1 / 120) + r * np.float32(1 / 720))))))
    return e * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def exp64(z):
    """Return e^z, within 2 ulp: 2^n e^r with |r| <= ln 2 / 2."""
    z = min(max(z, -708.0), 708.0)
    n = np.floor(z * 1.4426950408889634 + 0.5)
    r = z - n * 0.693145751953125 - n * 1.42860682030941723212e-6  # ln 2 in two parts
    e = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (
        1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * (
            1 / 479001600 + r / 6227020800))))))))))))
    return e * np.int64((np.int64(n) + 1023) << 52).view(np.float64)


@cache
def sigma_of(activation: str, real: str) -> tuple[Callable, Callable]:
    """Return sigma, and its derivative by the activation."""
    exp, number = {"float32": (exp32, np.float32), "float64": (exp64, np.float64)}[real]
    one, two = number(1), number(2)
    if activation == "tanh":
        return (inlined(lambda z: one - two / (exp(two * z) + one)),
                inlined(lambda a: one - a * a))
    return inlined(lambda z: one / (one + exp(-z))), inlined(lambda a: a * (one - a))


# ---- the forms: a layer's forward product, BP2's and BP4's, added to zeros or to w ----


@jit
def forward_over_inputs(z, x, w):
    z[:] = 0
    dots(z, x, w)


@jit
def back_over_inputs(below, delta, w):
    below[:] = 0
    add_products(below, delta.T, w)


@jit
def update_over_inputs(w, delta, x, nabla):
    add_products(w, delta, x)


@jit
def forward_over_outputs(z, x, w):
    z[:] = 0
    add_products(z, x.T, w)


@jit
def back_over_outputs(below, delta, w):
    below[:] = 0
    dots(below, delta, w)


@jit
def update_over_outputs(w, delta, x, nabla):
    add_products(w, x, delta)


@jit
def forward_over_batch(z, x, w):
    z[:] = 0
    add_products(z, w.T, x)


@jit
def back_over_batch(below, delta, w):
    below[:] = 0
    add_products(below, w, delta)


@jit
def update_over_batch(w, delta, x, nabla):
    dots(w, delta, x)


@jit
def forward_by_blas(z, x, w):
    np.dot(x, w.T, z)


@jit
def back_by_blas(below, delta, w):
    np.dot(delta, w, below)


@jit
def update_by_blas(w, delta, x, nabla):
    np.dot(delta.T, x, nabla)
    for j in range(len(w)):
        for k in range(w.shape[1]):
            w[j, k] += nabla[j, k]


FORMS = {  # products; whether w is (out, in); whether an example is a row of x, a and delta
    "over the inputs": (
        (forward_over_inputs, back_over_inputs, update_over_inputs), True, True),
    "over the outputs": (
        (forward_over_outputs, back_over_outputs, update_over_outputs), False, True),
    "over the batch": (
        (forward_over_batch, back_over_batch, update_over_batch), True, False),
    "np.dot": ((forward_by_blas, back_by_blas, update_by_blas), True, True),
}


# ---- the epoch ----


@cache
def epoch_of(form: str, activation: str, real: str) -> Callable:
    """Return the function that trains: order is of mini-batches, step -eta/m."""
    (forward, back, update), _, by_rows = FORMS[form]
    sigma, sigma_prime = sigma_of(activation, real)

    @jit
    def gather(out, x, batch):
        for i in range(len(batch)):
            row = x[batch[i]]
            for k in range(len(row)):
                if by_rows:
                    out[i, k] = row[k]
                else:
                    out[k, i] = row[k]

    @jit
    def activate(z, b):
        for r in range(len(z)):
            row = z[r]
            if by_rows:
                for c in range(len(row)):
                    row[c] = sigma(row[c] + b[c])
            else:
                b_r = b[r]
                for c in range(len(row)):
                    row[c] = sigma(row[c] + b_r)

    @jit
    def times_sigma_prime(delta, a):
        for r in range(len(a)):
            row, a_row = delta[r], a[r]
            for c in range(len(row)):
                row[c] *= sigma_prime(a_row[c])

    @jit
    def add_to_biases(b, total, delta):
        total[:] = 0
        for r in range(len(delta)):
            row = delta[r]
            if by_rows:
                for c in range(len(row)):
                    total[c] += row[c]
            else:
                total[r] = row.sum()
        for j in range(len(b)):
            b[j] += total[j]

    @jit
    def epoch(w, b, a, delta, nabla_w, nabla_b, x, y, order, step):
        last = len(w) - 1
        for batch in order:
            gather(a[0], x, batch)
            for layer in range(last + 1):  # (25)
                forward(a[layer + 1], a[layer], w[layer])
                activate(a[layer + 1], b[layer])
            gather(delta[last], y, batch)
            for r in range(len(delta[last])):  # BP1
                row, a_row = delta[last][r], a[last + 1][r]
                for c in range(len(row)):
                    row[c] = (a_row[c] - row[c]) * step
            times_sigma_prime(delta[last], a[last + 1])
            for layer in range(last, 0, -1):  # BP2
                back(delta[layer - 1], delta[layer], w[layer])
                times_sigma_prime(delta[layer - 1], a[layer])
            for layer in range(last + 1):
                update(w[layer], delta[layer], a[layer], nabla_w[layer])  # BP4
                add_to_biases(b[layer], nabla_b[layer], delta[layer])  # BP3

    return epoch


class Loops(Contestant):
    """
    Numba over the whole epoch, in `dots` and `add_products`, or in NumPy's `dot`, compiled.

    Tried, and slower by far: loops without tiles; one row or product at a time; libm's `exp`.
    """

    opponent = "Numba"

    def __init__(self, work: Work, examples: Examples, real: str, form: str) -> None:
        super().__init__(work, examples, real, real)
        self.form = form
        self.roundings = roundings(work, form)
        _, self.outputs_first, by_rows = FORMS[form]
        m, sizes = work.mini_batch_size, work.sizes
        self.w = tuple(np.empty((j, k) if self.outputs_first else (k, j), real)
                       for j, k in work.shapes)
        self.b = tuple(np.empty(j, real) for j in sizes[1:])
        self.a = tuple(np.empty((m, j) if by_rows else (j, m), real) for j in sizes)
        self.delta = tuple(np.empty_like(a) for a in self.a[1:])
        self.nabla_w = tuple(np.empty_like(w) for w in self.w)
        self.nabla_b = tuple(np.empty_like(b) for b in self.b)
        self.compiled = epoch_of(form, work.activation, real)

    def begin(self) -> None:  # noqa: D102
        for w, start in zip(self.w, self.start[0], strict=True):
            w[...] = start if self.outputs_first else start.T
        for b, start in zip(self.b, self.start[1], strict=True):
            b[...] = start[:, 0]

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights = [w if self.outputs_first else w.T for w in self.w]
        return [*weights, *(b.reshape(-1, 1) for b in self.b)]

    def train(self, batches: NDArray) -> None:  # noqa: D102
        step = self.y.dtype.type(-self.work.eta / self.work.mini_batch_size)
        self.compiled(self.w, self.b, self.a, self.delta, self.nabla_w, self.nabla_b,
                      self.x, self.y, batches, step)


def roundings(work: Work, form: str) -> int:
    """Return how often a step rounds a weight, at most: `add_products` does BP4 in w itself."""
    return work.mini_batch_size if form in ("over the inputs", "over the outputs") else 1


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        for form in FORMS:
            if roundings(work, form) <= MOST_ROUNDINGS:
                yield Loops(work, examples, real, form)


# ---- one row ----


@jit
def one_row(x, w, b):
    """Return x w^T + b for one row: four outputs at a time, vectorised over the inputs."""
    outputs = len(b)
    z = np.empty(outputs, x.dtype)
    zero = x.dtype.type(0)
    for j in range(0, outputs, 4):
        j1, j2, j3 = min(j + 1, outputs - 1), min(j + 2, outputs - 1), min(j + 3, outputs - 1)
        w0, w1, w2, w3 = w[j], w[j1], w[j2], w[j3]
        s0 = s1 = s2 = s3 = zero
        for k in range(len(x)):
            s0 += x[k] * w0[k]
            s1 += x[k] * w1[k]
            s2 += x[k] * w2[k]
            s3 += x[k] * w3[k]
        z[j], z[j1], z[j2], z[j3] = s0 + b[j], s1 + b[j1], s2 + b[j2], s3 + b[j3]
    return z


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    """One row only; parameters are constants of the compiled function, so that only x is passed."""
    if len(x) > 1:
        return
    sigma, _ = sigma_of("sigmoid", "float32")
    weights, biases = tuple(net.weights), tuple(net.biases)

    @jit
    def feedforward(a):
        for layer in range(len(weights)):
            a = one_row(a, weights[layer], biases[layer])
            for j in range(len(a)):
                a[j] = sigma(a[j])
        return a

    yield Call(Loops.opponent, "over the inputs", lambda row=x[0]: feedforward(row))
