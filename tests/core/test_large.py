"""Rows, orders, targets and arenas beyond 2^31 numbers, in memory and files that have holes."""

import os
import sys

import numpy as np
import pytest

from cbackprop import sources

BEYOND = 2**31
M = 4

pytestmark = pytest.mark.skipif(sys.maxsize < 2**32, reason="indices of 64 bits")


@pytest.fixture
def holes(tmp_path):
    """Make arrays of zeros in files without blocks."""
    def make(shape, dtype):
        path = tmp_path / f"{len(os.listdir(tmp_path))}.bin"
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            with open(path, "wb") as file:
                file.truncate(size)
            if not 0 <= getattr(path.stat(), "st_blocks", sys.maxsize) < size // 1024:
                pytest.skip("the file system has no holes")
            return np.asarray(np.memmap(path, dtype, "r+", shape=shape))
        except OSError as error:
            pytest.skip(f"no file of {size} bytes in memory: {error}")
    return make


def core_of(build, sizes, seed=0):
    made = build.Core(sizes, ["tanh"] * (len(sizes) - 2) + ["identity"], "quadratic", 1.0)
    weights, biases = made.views(made.parameters)
    rng = np.random.default_rng(seed)
    for part in (*weights, *biases):
        part[...] = rng.normal(size=part.shape)
    return made


def train(build, core, x, y, order, weights=None):
    """Train on the rows of an order; return the cost and what the network says of them."""
    etas = np.full(len(order), 0.01)
    _, cost = core.sgd(build.Rows(x), build.Targets(y, weights), order, M, etas, 0, len(order))
    return cost


def some(shape, dtype, seed=1):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.uint8:
        return rng.integers(0, 4, shape).astype(np.uint8)
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_numbers_of_x(build, holes, dtype):
    """The last rows train and answer as in arrays of their own."""
    k, count = 784, 9
    n = BEYOND // k + 2 * count
    x, y = holes((n, k), dtype), holes((n, 3), build.REAL)
    x[-count:], y[-count:] = some((count, k), dtype), some((count, 3), build.REAL)
    order, near = np.r_[n - count:n, 0, n - 1], np.r_[:count, count, count - 1]
    few = [np.concatenate([part[-count:], part[:1]]) for part in (x, y)]
    big, small = core_of(build, (k, 5, 3)), core_of(build, (k, 5, 3))
    assert train(build, big, x, y, order) == train(build, small, *few, near)
    assert np.array_equal(big.parameters, small.parameters)
    assert np.array_equal(big.feedforward(x[-count:]), small.feedforward(few[0][:count]))


def test_rows_targets_and_weights(build, holes):
    """Their numbers are beyond 2^31, in the order as well."""
    n, count = BEYOND + 40, 11
    parts = [holes((n, 1), "uint8"), holes((n, 1), build.REAL), holes(n, build.REAL)]
    for seed, part in enumerate(parts):
        part[-count:] = abs(some((count, *part.shape[1:]), part.dtype, seed))
    few = [part[-count:].copy() for part in parts]
    big, small = core_of(build, (1, 5, 1)), core_of(build, (1, 5, 1))
    order = np.arange(count)[::-1].copy()
    assert train(build, big, *parts[:2], order + (n - count), parts[2]) == (
        train(build, small, *few[:2], order, few[2]))
    assert np.array_equal(big.parameters, small.parameters)
    with pytest.raises(ValueError, match=f"row numbers below {n}, got others"):
        train(build, big, *parts[:2], order + (n - count + 1), parts[2])


class Lists:
    """A matrix in CSR format whose arrays are used as they are."""

    def __init__(self, data, indices, indptr, columns):
        self.data, self.indices, self.indptr = data, indices, indptr
        self.shape = len(indptr) - 1, columns


def test_entries_of_sparse_rows(build, holes):
    """They begin beyond 2^31, after a row that nobody asks for."""
    k, each, count = 30, 3, 7
    begin = BEYOND + 5
    data, indices = (holes(begin + each * count, dtype) for dtype in (build.REAL, np.intc))
    data[begin:] = some(each * count, build.REAL)
    indices[begin:] = np.sort(np.random.default_rng(0).permuted(
        np.tile(np.arange(k), (count, 1)), axis=1)[:, :each], axis=1).ravel()
    starts = begin + each * np.arange(count + 1)
    x = Lists(data, indices, np.r_[0, starts], k)
    few = Lists(data[begin:].copy(), indices[begin:].copy(), starts - begin, k)
    y = some((count + 1, 2), build.REAL)
    big, small = core_of(build, (k, 5, 2)), core_of(build, (k, 5, 2))
    order = np.random.default_rng(1).permutation(count)
    assert train(build, big, x, y, order + 1) == train(build, small, few, y[1:].copy(), order)
    assert np.array_equal(big.parameters, small.parameters)


def test_parameters(build):
    """An arena of which the rows of a few inputs and the last layer are ever touched."""
    ld = 64 // np.dtype(build.REAL).itemsize  # a cache line, for up to 16 or 8 neurons
    k, few = BEYOND // ld + 100, np.array([0, 7, BEYOND // ld - 1, BEYOND // ld, BEYOND // ld + 99])
    try:
        big = build.Core((k, 5, 2), ["tanh", "identity"], "quadratic", 1.0)
    except MemoryError as error:
        pytest.skip(f"this machine promises too little memory: {error}")
    small = core_of(build, (len(few), 5, 2))
    (w, v), biases = big.views(big.parameters)
    (w_small, v_small), biases_small = small.views(small.parameters)
    assert big.parameters.size > BEYOND
    w[:, few], v[...] = w_small, v_small
    for b, b_small in zip(biases, biases_small, strict=True):
        b[...] = b_small
    data, starts = some(2 * len(few), build.REAL), np.r_[0, 1:2 * len(few):2]
    columns = np.r_[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    starts = np.r_[0, 1, 3, 5, 7, 9, 10]
    x, near = (Lists(data, c.astype(np.intc), starts, n) for c, n in (
        (few[columns], k), (columns, len(few))))
    for lists in (x, near):
        assert build.Rows(lists).is_sound()
    y, order = some((6, 2), build.REAL), np.arange(6)
    assert train(build, big, x, y, order) == train(build, small, near, y, order)
    assert np.array_equal(w[:, few], w_small)
    assert np.array_equal(v, v_small)
    for b, b_small in zip(biases, biases_small, strict=True):
        assert np.array_equal(b, b_small)
    assert np.array_equal(big.feedforward(build.Rows(x)), small.feedforward(build.Rows(near)))


def test_stored_numbers(build, holes):
    """Of a CSR matrix there may be more than 2^31; the first row has most, and is left out."""
    k, count = 40, 12
    x = Lists(holes(BEYOND + count, build.REAL), holes(BEYOND + count, np.intc),
              np.r_[0, BEYOND + np.arange(0, count + 1, 3)], k)
    x.data[-count:], x.indices[-count:] = some(count, build.REAL), np.arange(count) * 3
    near = Lists(x.data[-count:].copy(), x.indices[-count:].copy(), np.arange(0, count + 1, 3), k)
    y = some((5, 2), build.REAL)
    big, small = core_of(build, (k, 3, 2)), core_of(build, (k, 3, 2))
    assert train(build, big, x, y, np.arange(1, 5)) == train(
        build, small, near, y[1:], np.arange(4))
    assert np.array_equal(big.parameters, small.parameters)
    assert not np.array_equal(big.parameters, core_of(build, (k, 3, 2)).parameters)


def test_examples(holes):
    """Parts, and numbers of rows as a split has them."""
    from cbackprop import Network

    k = 784
    n = BEYOND // k + 60
    x, y = holes((n, k), "uint8"), holes(n, "uint8")
    x[-50:], y[-50:] = some((50, k), "uint8"), some(50, "uint8")
    net = Network([k, 4], seed=0, input_scale=0.1)
    examples = net.engine.examples((x, y), "")
    rows, targets = examples.take(np.arange(n - 50, n))
    assert np.array_equal(rows.x, x[-50:])
    assert np.array_equal(targets.y, y[-50:])
    selected = sources.SelectedExamples(examples, np.arange(n - 50, n))
    twin = net.copy()
    for engine, of in ((net.engine, selected), (twin.engine, net.engine.examples(
            (x[-50:].copy(), y[-50:].copy()), ""))):
        engine.train(*of.part(np.arange(50), 0, 50)[:3], 10, np.full(5, 0.1), 0, 50)
        assert engine.mean_cost(of) < 10
    assert np.array_equal(net.engine.core.parameters, twin.engine.core.parameters)
    assert np.array_equal(net.feedforward(x[-50:]), twin.feedforward(x[-50:]))
