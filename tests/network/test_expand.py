"""The book's expanded data, made while it is trained on; and sources of rows of one's own."""

import numpy as np
import pytest
from memory import peak

from cbackprop import History, Network, RowSource, callbacks, datasets
from cbackprop.sources import PART_BYTES

SIZES = [12, 6, 3]


def images(n=20, shape=(3, 4), dtype=np.uint8, seed=0):
    """Images without a blank border, and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, (n, shape[0] * shape[1])).astype(dtype), rng.integers(0, 3, n)


def network(sizes=SIZES, **settings):
    return Network(sizes, **{"input_scale": 1 / 256, "seed": 0, "dtype": "float64"} | settings)


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


def expand_mnist(x, shape):
    """The book's expand_mnist.py, its order of moves kept."""
    expanded = [x]
    height, width = shape
    for d, axis, position, index in [
        (1, 0, "first", 0), (-1, 0, "first", height - 1),
        (1, 1, "last", 0), (-1, 1, "last", width - 1),
    ]:
        moved = []
        for row in x:
            new = np.roll(np.reshape(row, shape), d, axis)
            if position == "first":
                new[index, :] = 0
            else:
                new[:, index] = 0
            moved.append(np.reshape(new, -1))
        expanded.append(np.array(moved))
    return np.concatenate(expanded)


class Held(RowSource):
    """Rows in arrays, behind the interface of those that are not; notes what is taken."""

    def __init__(self, x, y):
        self.x, self.y, self.taken = x, y, []

    def __len__(self):
        return len(self.x)

    def take(self, indices):
        self.taken.append(len(indices))
        return self.x[indices], self.y[indices]


# ---- the rows ----


@pytest.mark.parametrize("shape", [(3, 4), (28, 28), (1, 5), (5, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
def test_rows_are_the_books(shape, dtype):
    x, y = images(7, shape, dtype)
    expanded = datasets.expand(x, y, shape)
    assert len(expanded) == 35
    got, labels = expanded.take(np.arange(35))
    assert np.array_equal(got, expand_mnist(x, shape))
    assert got.dtype == dtype
    assert np.array_equal(labels, np.tile(y, 5))


def test_rows_in_any_order():
    x, y = images(9)
    expanded, all_rows = datasets.expand(x, y, (3, 4)), expand_mnist(x, (3, 4))
    order = np.random.default_rng(1).integers(0, 45, 200)
    got, labels = expanded.take(order)
    assert np.array_equal(got, all_rows[order])
    assert np.array_equal(labels, y[order % 9])
    assert [len(part) for part in expanded.take(np.arange(0))] == [0, 0]


def test_mnist():
    (x, y), _ = datasets.load_mnist()
    expanded = datasets.expand(x, y)
    assert len(expanded) == 25000
    some = np.random.default_rng(0).integers(0, 25000, 500)
    got, labels = expanded.take(some)
    wanted = np.stack([expand_mnist(x[i % 5000][None], (28, 28))[i // 5000] for i in some])
    assert np.array_equal(got, wanted)
    assert np.array_equal(labels, y[some % 5000])


def test_it_does_not_copy_or_change_the_images():
    x, y = images()
    kept = x.copy()
    expanded = datasets.expand(x, y, (3, 4))
    network().SGD(expanded, 2, 7, 0.5)
    assert expanded.x is x
    assert np.array_equal(x, kept)


def test_one_hot_targets():
    x, y = images()
    rows = np.eye(3)[y]
    _, targets = datasets.expand(x, rows, (3, 4)).take(np.arange(100))
    assert np.array_equal(targets, np.tile(rows, (5, 1)))


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ((images()[0], images()[1]), ValueError, r"^x must have 28 \* 28 = 784 columns, got shape "),
    ((images()[0][0], images()[1], (3, 4)), ValueError, r"^x must have .* got shape \(12,\)$"),
    ((images()[0], images()[1][1:], (3, 4)), ValueError, r"^y must be labels .* got shape \(19,\)"),
    ((images()[0], 3, (3, 4)), ValueError, r"^y must be labels or rows for the 20 rows.* \(\)$"),
    ((images()[0], images()[1], 12), TypeError, r"^shape must be \(height, width\), got 12$"),
    ((images()[0], images()[1], (12,)), ValueError, r"^shape must be \(height, width\), got \(12"),
    ((images()[0], images()[1], (12, 0)), ValueError, r"^shape must be .height, width., got .12"),
    ((images()[0], images()[1], (3, 4.0)), TypeError, r"^shape must be \(height, width\), got "),
    ((None, images()[1], (3, 4)), TypeError, "^x must hold real numbers, got dtype object, "),
])
def test_bad_images(arguments, error, rule):
    with pytest.raises(error, match=rule) as raised:
        datasets.expand(*arguments)
    assert "\n" not in str(raised.value)


# ---- training on rows that are made ----


@pytest.mark.parametrize("mini_batch_size", [1, 7, 10, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_is_that_on_the_copies(mini_batch_size, dtype):
    x, y = images()
    net, twin = network(dtype=dtype), network(dtype=dtype)
    history = net.SGD(datasets.expand(x, y, (3, 4)), 3, mini_batch_size, 0.5)
    copies = expand_mnist(x, (3, 4)), np.tile(y, 5)
    assert history.cost == twin.SGD(copies, 3, mini_batch_size, 0.5).cost
    assert np.array_equal(parameters(net), parameters(twin))


def test_evaluation_is_that_on_the_copies():
    x, y = images()
    expanded, net = datasets.expand(x, y, (3, 4)), network()
    copies = expand_mnist(x, (3, 4)), np.tile(y, 5)
    assert net.evaluate(expanded) == net.evaluate(copies)
    assert net.accuracy(expanded) == net.accuracy(copies)
    assert net.total_cost(expanded) == pytest.approx(net.total_cost(copies), rel=1e-14)
    history = net.SGD(copies, 1, 10, 0.5, expanded, evaluation_data=expanded,
                      monitor=["training_accuracy", "evaluation_accuracy"])
    assert history.accuracy == history.evaluation_accuracy == history.training_accuracy


@pytest.mark.parametrize("mini_batch_size", [1, 64, 5000])
def test_parts_are_small(mini_batch_size):
    rng = np.random.default_rng(0)
    source = Held(rng.random((12_000, 100)), rng.integers(0, 3, 12_000))
    net, twin = network([100, 3]), network([100, 3])
    history = net.SGD(source, 2, mini_batch_size, 0.5)
    assert history.cost == twin.SGD((source.x, source.y), 2, mini_batch_size, 0.5).cost
    assert np.array_equal(parameters(net), parameters(twin))
    most = PART_BYTES // 800
    assert max(source.taken) <= max(most, mini_batch_size)
    source.taken.clear()
    net.total_cost(source)
    assert max(source.taken) <= most
    assert sum(source.taken) == 12_001  # the first is looked at before


def test_memory_does_not_grow_with_the_data():
    x, y = np.ones((20_000, 784), np.uint8), np.zeros(20_000, np.int64)
    expanded, net = datasets.expand(x, y), network([784, 3])
    most = peak(lambda: net.SGD(expanded, 1, 100, 0.5, evaluation_data=expanded))
    # The order takes 0.8 MB; the rows of a part, their moves and copies at most five times 2 MB.
    assert most < 12e6 < x.nbytes < 78e6


def test_the_last_mini_batch_is_shorter():
    x, y = images(23)
    net, twin = network(), network()
    net.SGD(Held(x, y), 3, 10, 0.5)
    twin.SGD((x, y), 3, 10, 0.5)
    assert np.array_equal(parameters(net), parameters(twin))


def test_callbacks_and_progress():
    reports = []
    x, y = images()
    history = network().SGD(datasets.expand(x, y, (3, 4)), 2, 10, 0.5,
                            progress=lambda *report: reports.append(report))
    assert isinstance(history, History)
    assert history.rows == 100
    assert [report for report in reports if report[1] == 100] == [(0, 100, 100), (1, 100, 100)]


# ---- sources that are wrong ----


class Bad(Held):
    """A source that goes wrong at its second part of the second epoch."""

    def __init__(self, answer):
        super().__init__(*images(20))
        self.answer = answer

    def take(self, indices):
        x, y = super().take(indices)
        return self.answer(x, y) if sum(self.taken) > 1 + 20 + len(indices) else (x, y)


def fail(x, y):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(("answer", "error", "rule"), [
    (fail, OSError, "^the disk is gone$"),
    (lambda x, y: (x[:, 1:], y), ValueError, r"^x of training_data must have sizes\[0\] = 12 col"),
    (lambda x, y: (x[1:], y[1:]), ValueError, "^(take of )?training_data must "),
    (lambda x, y: (x, y + 3), ValueError, r"^y of training_data must hold labels in 0\.\.2, got "),
    (lambda x, y: (x * np.nan, y), ValueError, "^x of training_data must be finite, got nan at "),
    (lambda x, y: x, TypeError, r"^training_data must be \(x, y\) arrays or a list of "),
])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_error_keeps_what_was_before_the_epoch(answer, error, rule, optimizer):
    net, twin, each = network(), network(), callbacks.Callback()
    each.every = 1  # step is a part
    with pytest.raises(error, match=rule):
        net.SGD(Bad(answer), 9, 4, 0.05, optimizer=optimizer, callbacks=[each])
    twin.SGD(images(20), 1, 4, 0.05, optimizer=optimizer)
    assert np.array_equal(parameters(net), parameters(twin))
    costs = [one.SGD(images(), 1, 4, 0.05, optimizer=optimizer).cost for one in (net, twin)]
    assert costs[0] == costs[1]
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize(("source", "rule"), [
    (Held(*images(0)), "^training_data must hold at least one example, got none$"),
    (Held(*images(20, (3, 5))), r"^x of training_data must have sizes\[0\] = 12 columns, got"),
])
def test_what_is_wrong_from_the_start(source, rule):
    net, twin = network(), network()
    with pytest.raises(ValueError, match=rule):
        net.SGD(source, 2, 4, 0.5)
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize("take", [
    lambda net, source: net.update_mini_batch(source, 0.5),
    lambda net, source: net.feedforward(source),
])
def test_what_takes_arrays_alone(take):
    with pytest.raises(TypeError, match=r"must (be \(x, y\) arrays|hold real numbers)"):
        take(network(), Held(*images()))
