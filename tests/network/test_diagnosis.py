"""What will not go well is said once, where the caller stands; and nothing is said without need."""

import re
import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, diagnosis
from cbackprop.datasets import load_mnist

BYTES, FAR = r"bytes, up to 25\d, and input_scale is 1: .*1 / 255", "far from unit scale: the root"
DEAD, SATURATED = "relus of layer 0 are 0 for all", "all outputs are saturated"
CHANCE = "the accuracy is at chance"


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[0]


def said(net, data, *args, **kwargs):
    """Train, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.SGD(data, *args, **kwargs)
    assert all(one.category is UserWarning and one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


def assert_said(messages, *patterns):
    """Each of the patterns is in one message; none is of two lines."""
    for pattern in patterns:
        assert len([one for one in messages if re.search(pattern, one)]) == 1, messages
    assert not any("\n" in one or len(one) > 400 for one in messages)


def of(pattern, messages):
    return [message for message in messages if pattern in message]


def classes(n=3000, scale=1.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    return x * scale, (x[:, 0] > x[:, 1]).astype(int)


def test_bytes_and_their_remedy(digits):
    settings = {"seed": 0, "cost": "log_likelihood"}
    messages = said(Network([784, 20, 10], **settings), digits, 1, 10, 0.5)
    assert_said(messages, BYTES)
    x, y = digits
    floats = x.astype(np.float32)
    assert_said(said(Network([784, 20, 10], **settings), (floats, y), 1, 10, 0.5), FAR)
    for scaled, scale in ((x, 1 / 255), (x / 255, 1.0), (x, np.full(784, 1 / 255))):
        net = Network([784, 20, 10], input_scale=scale, **settings)
        assert said(net, (scaled, y), 1, 10, 0.5) == []
    assert said(Network([784, 20, 10], **settings), (x > 99, y), 1, 10, 0.5) == []


@pytest.mark.parametrize(("scale", "wrong"), [(1e-4, True), (0.1, False), (10, False), (99, True)])
def test_sizes_of_inputs(scale, wrong):
    x, y = classes(100, scale)
    net = Network([5, 4, 1], cost="cross_entropy", seed=0)
    messages = said(net, (x, y), 2, 10, 0.01)
    assert bool(of("far from unit scale: the root", messages)) == wrong


def test_sparse_inputs_count_their_zeros():
    sparse = pytest.importorskip("scipy.sparse")
    x = np.zeros((400, 2000))
    x[np.arange(400), np.arange(400) % 2000] = 1000.0  # a root mean square of 22
    y = np.arange(400) % 2
    for factor, wrong in ((1, False), (10, True)):
        net = Network([2000, 3, 1], cost="cross_entropy", seed=0)
        messages = said(net, (sparse.csr_matrix(factor * x), y), 1, 10, 1e-6)
        assert bool(of("far from unit scale: the root", messages)) == wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dead_relus(dtype):
    x, y = classes()
    for dead, wrong in ((20, True), (19, True), (18, False)):  # of 20; 18 are nine tenths
        net = Network([5, 20, 1], activation="relu", cost="cross_entropy", seed=0, dtype=dtype)
        net.biases[0][:dead] = -1000
        net.biases[0][dead:] = 1000
        net.weights[0][...] *= 1e-3
        found = of("relus", said(net, (x, y), 300, 10, 1e-9))
        assert len(found) == wrong
        if wrong:
            assert f"{dead} of 20 relus of layer 0 are 0 for all" in found[0]
    net = Network([5, 20, 1], activation="leaky_relu", cost="cross_entropy", seed=0)
    net.biases[0][...] = -1000
    assert of("relus", said(net, (x, y), 300, 10, 1e-9)) == []


@pytest.mark.parametrize("scale", [1 / 16, 1])  # far from unit scale, more of them die
def test_outputs_that_died(digits, scale):
    """A network of relus, the last layer too: its accuracy stays below 0.7."""
    x, y = digits[0].reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49) / 16, digits[1]
    for optimizer in ("sgd", "adam"):
        net = Network([49, 30, 10], activation="relu", seed=0)
        assert_said(said(net, (scale * x, y), 20, 10, optimizer=optimizer),
                    'outputs are relus that are 0 for all of .* output_activation="sigmoid"')
        net = Network([49, 30, 10], activation="relu", output_activation="sigmoid", seed=0)
        assert said(net, (scale * x, y), 5, 10, optimizer=optimizer) == []


def test_an_output_that_should_be_zero_is_not_dead():
    x, _ = classes()
    y = np.stack([np.maximum(x[:, 0], 0), np.zeros(len(x))], axis=1)
    net = Network([5, 2], activation="relu", initializer="zeros")
    net.weights[0], net.biases[0] = np.eye(2, 5), np.array([[0.0], [-50.0]])
    assert said(net, (x, y), 300, 10, 1e-6) == []
    assert_said(said(net, (x, y + np.array([0, 1])), 300, 10, 1e-6),
                '^1 of 2 outputs .* output_activation="identity" does not die')


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_outputs_at_their_ends(digits, optimizer):
    net = Network([784, 200, 10], input_scale=1 / 255, seed=0)  # the book's rate is too large here
    assert_said(said(net, digits, 1, 10, 3.0, optimizer=optimizer), SATURATED, CHANCE)


def test_outputs_may_be_at_their_ends_where_they_are_right():
    x, y = classes()
    net = Network([5, 1], cost="cross_entropy", seed=0)
    net.weights = [1e6 * np.array([[1.0, -1.0, 0, 0, 0]])]
    net.biases = [[[0.0]]]
    assert said(net, (x, y), 300, 10, 1e-3) == []
    net = Network([5, 1], cost="cross_entropy", initializer="zeros")
    net.biases = [[[-90.0]]]
    assert_said(said(net, (x, y), 300, 10, 1e-6), SATURATED, CHANCE)


@pytest.mark.parametrize(("cost", "outputs"), [
    ("quadratic", 10), ("cross_entropy", 10), ("log_likelihood", 10)])
def test_a_rate_that_is_too_small(digits, cost, outputs):
    net = Network([784, 30, outputs], input_scale=1 / 255, cost=cost, seed=0)
    messages = said(net, digits, 5, 10, 1e-7)
    assert_said(messages, CHANCE)
    assert len(messages) == 1
    assert "eta than 1e-07" in messages[0]


def test_what_cannot_be_learned_is_nobodys_mistake():
    x, _ = classes()
    rng = np.random.default_rng(1)
    for y in (rng.integers(0, 2, 3000), (rng.random(3000) < 0.05).astype(int)):
        net = Network([5, 10, 1], cost="cross_entropy", seed=0)
        assert said(net, (x, y), 5, 10, 0.05) == []
    net = Network([5, 8, 1], seed=0, output_activation="identity")
    assert said(net, (x, rng.normal(size=3000)), 3, 10, 0.01) == []
    assert said(Network([5, 8, 1], seed=0), (x, np.ones(3000)), 3, 10, 0.1) == []


def test_once_a_call_and_not_at_once_again_after_a_short_one(digits):
    net = Network([784, 20, 10], seed=0)
    assert len(of("bytes", said(net, digits, 5, 10, 0.1))) == 1
    net.engine.unseen_seconds = 0.0
    assert said(net, digits, 1, 100, 0.1) == []  # a hundred times as long as the look took
    net.engine.unseen_seconds = 200 * net.engine.look_seconds
    assert len(of("bytes", said(net, digits, 5, 10, 0.1))) == 1
    x, y = classes(40, 1000.0)
    small = Network([5, 2, 1], cost="cross_entropy", seed=0)
    assert len(said(small, (x, y), 1, 10, 1e-9)) == 1
    assert said(small, (x, y), 1, 10, 1e-9) == []
    small.engine.unseen_seconds = diagnosis.SECONDS
    assert len(said(small, (x, y), 1, 10, 1e-9)) == 1


def test_the_callers_line_and_threads():
    x, y = classes(100, 1000.0)
    nets = [Network([5, 2, 1], cost="cross_entropy", seed=s) for s in range(3)]
    with pytest.warns(UserWarning, match=FAR) as caught:
        nets[0].prepare((x, y), 1, 10, 0.1).run()
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=FAR):
        cbackprop.train_many(nets[1:], (x, y), 1, 10, 0.1)


def test_nothing_is_changed_by_a_look(monkeypatch):
    x, y = classes(3000, 1000.0)
    pairs = []
    for looks in (True, False):
        net = Network([5, 20, 1], activation="relu", cost="cross_entropy", seed=0)
        if not looks:
            monkeypatch.setattr(diagnosis.Diagnosis, "look", lambda self, sample, only_inputs: None)
        messages = said(net, (x, y), 3, 10, 0.5, optimizer="adam", dropout=0.2)
        assert bool(messages) == looks
        pairs.append((net.engine.core.parameters.copy(), net.history.cost, net.engine.seed()))
    (parameters, cost, seed), (others, other_cost, other_seed) = pairs
    assert np.array_equal(parameters, others)
    assert (cost, seed) == (other_cost, other_seed)


def test_functions_of_the_users_own_are_not_called_for_it():
    calls = []

    def cube(z):
        calls.append(len(z))
        return z**3

    x, y = classes(400)
    own = cbackprop.Activation(cube, lambda z: 3 * z**2)
    net = Network([5, 3, 1], activation=own, cost="cross_entropy", seed=0)
    calls.clear()
    said(net, (x, y), 3, 10, 1e-3)
    assert sum(calls) == 3 * 400


def test_a_source_is_not_asked_again():
    class Source(cbackprop.RowSource):
        taken = 0

        def __len__(self):
            return 3000

        def take(self, indices):
            Source.taken += len(indices)
            x, y = classes()
            return x[indices], y[indices]

    assert said(Network([5, 3, 1], seed=0), Source(), 1, 10, 0.1) == []
    assert Source.taken == 3000 + 1 + 100  # to see its shape, and what its targets are
