"""NumPy in matrix form."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod

import numpy as np
from common import REALS, Work
from numpy.typing import NDArray

from opponents.contestant import Contestant, Examples
from opponents.feedforward import Call, Trained

SLICE = 500  # rows


class Matrix(Contestant):
    """
    NumPy over the whole mini-batch, as fast as we could write it.

    Examples are rows. Everything is allocated once, and the loop works in place, in few, large
    calls. Parameters lie in one array, and their gradients: one addition is the update. Activations
    lie in another: two calls make sigma' of all layers. BP1 takes the factor -eta/m, for the
    equations behind it are linear in delta. For sigmoid, parameters are kept negated:
    1 / (1 + exp(z)) is a call less. Tried, and not faster: `matmul` for `dot`, `x[order]` for
    `take`, all rows gathered at once, a new array for each product, `tanh` for `exp`, `add.reduce`
    for the product with ones, biases as a row of the weights, examples as columns.
    """

    opponent = "NumPy"

    def __init__(self, work: Work, examples: Examples, real: str, outputs_first: bool) -> None:
        super().__init__(work, examples, real, real)
        self.form = "w (out, in)" if outputs_first else "w (in, out)"
        self.outputs_first = outputs_first
        self.sign = -1 if work.activation == "sigmoid" else 1
        m, sizes = work.mini_batch_size, work.sizes
        shapes = [(j, k) if outputs_first else (k, j) for j, k in work.shapes]
        shapes += [(j,) for j in sizes[1:]]
        self.all, parameters = carve(shapes, real)
        self.nabla, gradients = carve(shapes, real)
        last = len(sizes) - 1
        self.w, self.b = parameters[:last], parameters[last:]
        self.nabla_w, self.nabla_b = gradients[:last], gradients[last:]
        of_layers = [(m, j) for j in sizes[1:]]
        self.a_all, self.a = carve(of_layers, real)
        self.prime_all, self.prime = carve(of_layers, real)
        self.delta = [np.empty(shape, real) for shape in of_layers]
        self.x_batch = np.empty((m, sizes[0]), real)
        self.y_batch = np.empty((m, sizes[-1]), real)

    def begin(self) -> None:  # noqa: D102
        for w, start in zip(self.w, self.start[0], strict=True):
            w[...] = self.sign * (start if self.outputs_first else start.T)
        for b, start in zip(self.b, self.start[1], strict=True):
            b[...] = self.sign * start[:, 0]

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights = [w if self.outputs_first else w.T for w in self.w]
        return [self.sign * p for p in (*weights, *(b.reshape(-1, 1) for b in self.b))]

    def train(self, batches: NDArray) -> None:  # noqa: D102
        dot, add, subtract, multiply = np.dot, np.add, np.subtract, np.multiply
        sigma, sigma_prime = FUNCTIONS[self.work.activation](np.array(1, self.real))
        m = self.work.mini_batch_size
        minus_step = np.array(-self.work.eta / m, self.real)
        ones = np.ones(m, self.real)
        forward_w = [w.T for w in self.w] if self.outputs_first else self.w
        backward_w = self.w if self.outputs_first else [w.T for w in self.w]
        forward = list(zip(forward_w, self.b, self.a, strict=True))
        backward = list(zip(
            self.delta[:0:-1], backward_w[:0:-1], self.delta[-2::-1], self.prime[-2::-1],
            strict=True))
        inputs = [self.x_batch, *self.a[:-1]]
        if self.outputs_first:
            nabla_w = [(d.T, a, g) for d, a, g in zip(self.delta, inputs, self.nabla_w,
                                                      strict=True)]
        else:
            nabla_w = [(a.T, d, g) for d, a, g in zip(self.delta, inputs, self.nabla_w,
                                                      strict=True)]
        nabla_b = list(zip(self.delta, self.nabla_b, strict=True))
        a_all, prime_all, parameters, nabla = self.a_all, self.prime_all, self.all, self.nabla
        output, output_prime, delta = self.a[-1], self.prime[-1], self.delta[-1]
        take_x, take_y, x_batch, y_batch = self.x.take, self.y.take, self.x_batch, self.y_batch

        for batch in batches:
            take_x(batch, 0, x_batch, "clip")  # "raise" would copy once more
            take_y(batch, 0, y_batch, "clip")
            a = x_batch
            for w, b, z in forward:  # (25)
                dot(a, w, z)
                add(z, b, z)
                sigma(z)
                a = z
            sigma_prime(a_all, prime_all)
            subtract(output, y_batch, delta)  # BP1
            multiply(delta, minus_step, delta)
            multiply(delta, output_prime, delta)
            for delta_next, w, d, prime in backward:  # BP2
                dot(delta_next, w, d)
                multiply(d, prime, d)
            for left, right, g in nabla_w:  # BP4
                dot(left, right, g)
            for d, g in nabla_b:  # BP3
                dot(ones, d, g)
            add(parameters, nabla, parameters)


def sigmoid_of_negated(one: NDArray) -> tuple[Callable, Callable]:
    """Return 1 / (1 + exp(z)) in place, and (a - 1) a: two signs that cancel in BP1 to BP4."""
    exp, add, subtract, multiply = np.exp, np.add, np.subtract, np.multiply
    reciprocal = np.reciprocal

    def sigma(z: NDArray) -> None:
        exp(z, z)
        add(z, one, z)
        reciprocal(z, z)

    def sigma_prime(a: NDArray, out: NDArray) -> None:
        subtract(a, one, out)
        multiply(out, a, out)

    return sigma, sigma_prime


def tanh(one: NDArray) -> tuple[Callable, Callable]:
    """Return tanh in place, and 1 - a^2."""
    def sigma_prime(a: NDArray, out: NDArray) -> None:
        np.multiply(a, a, out)
        np.subtract(one, out, out)

    return lambda z: np.tanh(z, z), sigma_prime


FUNCTIONS = {"sigmoid": sigmoid_of_negated, "tanh": tanh}


def carve(shapes: Sequence[tuple[int, ...]], real: str) -> tuple[NDArray, list[NDArray]]:
    """Return one array, from a cache line on, and views of these shapes that follow in it."""
    ends = np.cumsum([prod(shape) for shape in shapes])
    whole = np.zeros(ends[-1] + 16, real)
    whole = whole[-whole.ctypes.data % 64 // whole.itemsize:][:ends[-1]]
    parts = np.split(whole, ends[:-1])
    return whole, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        for outputs_first in (False, True):
            yield Matrix(work, examples, real, outputs_first)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    """One row as two calls of `dot`; many rows whole, or in slices that stay in the L2."""
    for form, weights in (("w (out, in)", net.weights),
                          ("w (in, out)", [np.ascontiguousarray(w.T).T for w in net.weights])):
        if len(x) == 1 and len(weights) == 2:
            function = one_row_feedforward(weights, net.biases)
            yield Call("NumPy", form, partial(function, x[0]))
            continue
        for rows in (len(x), SLICE):
            function = many_rows_feedforward(weights, net.biases, x, rows)
            yield Call("NumPy", form + f", slices of {rows} rows" * (rows < len(x)), function)


def many_rows_feedforward(
    weights: list[NDArray], biases: list[NDArray], x: NDArray, rows: int
) -> Callable[[], NDArray]:
    """Return products and sigmoids, in place, for so many rows of x at a time."""
    dot, add, exp, reciprocal = np.dot, np.add, np.exp, np.reciprocal
    one = np.array(1, np.float32)
    out = np.empty((len(x), len(biases[-1])), np.float32)
    hidden = [np.empty((rows, len(b)), np.float32) for b in biases[:-1]]
    layers = [(-w.T, -b) for w, b in zip(weights, biases, strict=True)]

    def feedforward() -> NDArray:
        for begin in range(0, len(x), rows):
            a = x[begin:begin + rows]
            for (w, b), z in zip(layers, [*hidden, out[begin:begin + rows]], strict=True):
                z = z[:len(a)]
                dot(a, w, z)
                add(z, b, z)
                exp(z, z)
                add(z, one, z)
                reciprocal(z, z)
                a = z
        return out

    return feedforward


def one_row_feedforward(
    weights: list[NDArray], biases: list[NDArray]
) -> Callable[[NDArray], NDArray]:
    """Return two products and sigmoids, in place, for one row."""
    add, negative, exp, reciprocal = np.add, np.negative, np.exp, np.reciprocal
    (w1, w2), (b1, b2) = weights, biases
    one = np.array(1, np.float32)

    def feedforward(a: NDArray) -> NDArray:
        z = w1.dot(a)
        add(z, b1, z)
        negative(z, z)
        exp(z, z)
        add(z, one, z)
        reciprocal(z, z)
        z = w2.dot(z)
        add(z, b2, z)
        negative(z, z)
        exp(z, z)
        add(z, one, z)
        return reciprocal(z, z)

    return feedforward
