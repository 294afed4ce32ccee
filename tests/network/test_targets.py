"""Targets that a cost does not take, or that outputs cannot reach, are refused before training."""

import numpy as np
import pytest
import reference
from refusals import one_line

import cbackprop
from cbackprop import Network, arrays, target_values
from cbackprop.core import table

REALS = ["float32", "float64"]
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2))
C = (X[:, 0] > 0).astype(int)  # two classes
NUMBERS = 25 + 321 * rng.random((60, 1))
SUBTRACT = "labels run from 1: subtract 1"
TO_CLASSES = r"\(y \+ 1\) / 2"
IDENTITY = 'output_activation="identity"'


def network(cost, outputs=1, **settings):
    return Network([2, 3, outputs], cost=cost, seed=0, **settings)


def one_hot(labels):
    return np.eye(2)[labels]


REFUSED = {  # cost, outputs, y, remedy
    "cross_entropy -1/1": ("cross_entropy", 1, 2 * C - 1, TO_CLASSES),
    "cross_entropy 1/2": ("cross_entropy", 1, C + 1, SUBTRACT),
    "cross_entropy 0/255": ("cross_entropy", 1, 255 * C, "divide by 255"),
    "cross_entropy pixels": ("cross_entropy", 2, rng.integers(0, 256, (60, 2)) | 255 * C[:, None],
                             "divide by 255"),
    "cross_entropy digits": ("cross_entropy", 1, np.arange(60) % 10,
                             r"10 classes, labels 0 to 9 and sizes\[-1\] = 10"),
    "cross_entropy numbers": ("cross_entropy", 1, NUMBERS, "for numbers, cost=\"quadratic\""),
    "focal 1/2": ("focal", 1, C + 1.0, SUBTRACT),
    "log_likelihood -1/1": ("log_likelihood", 2, 2 * one_hot(C) - 1, TO_CLASSES),
    "log_likelihood 0/255": ("log_likelihood", 2, 255 * one_hot(C), "divide by 255"),
    "log_likelihood labels": ("log_likelihood", 2, C + 1, SUBTRACT),
    "log_likelihood -1/1 labels": ("log_likelihood", 2, 2 * C - 1, r"\(y \+ 1\) // 2"),
    "several labels": ("log_likelihood", 2, np.ones((60, 2)), "for several labels, .*sigmoid"),
    "kl_divergence counts": ("kl_divergence", 2, 4 * one_hot(C), "divide by 4"),
    "poisson -1/1": ("poisson", 1, 2 * C - 1, TO_CLASSES),
    "poisson numbers": ("poisson", 1, NUMBERS - 100, "for numbers"),
    "hinge 1/2": ("hinge", 1, C + 1, SUBTRACT),
    "hinge -1/0/1": ("hinge", 1, np.arange(60) % 3 - 1, "3 classes, subtract -1"),
    "squared_hinge soft": ("squared_hinge", 1, 0.1 + 0.8 * C, "for numbers"),
    "quadratic 1/2": ("quadratic", 1, C + 1, SUBTRACT),
    "quadratic numbers": ("quadratic", 1, NUMBERS, IDENTITY),
    "huber numbers": ("huber", 1, NUMBERS, IDENTITY),
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", REFUSED)
def test_the_remedy_is_said_and_nothing_is_changed(name, dtype):
    cost, outputs, y, remedy = REFUSED[name]
    net = network(cost, outputs, dtype=dtype)
    before = net.engine.core.parameters.copy()
    for train in (lambda: net.SGD((X, y), 2, 10, 0.1), lambda: net.prepare((X, y), 2, 10, 0.1),
                  lambda: net.update_mini_batch((X, y), 0.1), lambda: net.LBFGS((X, y), 2)):
        with one_line(ValueError, remedy):
            train()
    with one_line(ValueError, "y of training_data must"):
        net.SGD((X, y), 2, 10, 0.1)
    assert np.array_equal(net.engine.core.parameters, before)
    assert net.history is None


@pytest.mark.parametrize(("output", "low", "high"), [
    ("sigmoid", 0, 1), ("tanh", -1, 1), ("relu", 0, 9), (("relu6", 3.0), 0, 3),
    (("elu", 0.5), -0.5, 9), (("leaky_relu", 0.0), 0, 9), ("leaky_relu", -9, 9),
    ("softplus", 0, 9), ("hard_tanh", -1, 1), ("gaussian", 0, 1), ("sine", -1, 1),
    ("identity", -9, 9)])
@pytest.mark.parametrize("dtype", REALS)
def test_outputs_reach_their_ends_and_nothing_beyond(output, low, high, dtype):
    net = network("quadratic", output_activation=output, dtype=dtype)
    y = np.linspace(low, high, 60).astype(np.float32)
    y[-1] = np.nextafter(np.float32(high), np.float32(99))  # as scaling leaves it
    net.SGD((X, y), 1, 10, 1e-3)
    for wrong in (low - 0.01, high + 0.01):
        if abs(wrong) < 9 and low != -9:
            with one_line(ValueError, f"must be (from )?{low:g}.*{IDENTITY}"):
                net.SGD((X, np.append(y[1:], wrong)), 1, 10, 1e-3)


@pytest.mark.parametrize("row", table.ACTIVATIONS, ids=lambda row: row.name)
def test_ends_are_those_of_the_formula(row):
    sigma = reference.ACTIVATIONS[row.name][0]
    z = np.linspace(-40, 40, 200_001)
    z = np.stack([z, np.zeros_like(z)], axis=1) if row.whole_layer else z
    for parameter in [()] if not row.parameters else [(0.5,), (2.0,)]:
        low, high = target_values.ends((row.name, *parameter) if parameter else row.name)
        a = sigma(z, *parameter)
        assert a.min() == pytest.approx(low, abs=0.05) if np.isfinite(low) else a.min() < -0.3
        assert a.max() == pytest.approx(high, abs=0.05) if np.isfinite(high) else a.max() > 30
        if row.name not in ("softsign", "identity"):
            assert not np.isfinite(low) or a.min() == pytest.approx(low, abs=1e-7)


ALLOWED = {
    "soft": ("cross_entropy", 1, 0.05 + 0.9 * C, {}),
    "pixels": ("cross_entropy", 2, rng.random((60, 2)), {}),
    "shares": ("log_likelihood", 2, one_hot(C) * 0.8 + 0.1, {}),
    "shares that add up to more": ("log_likelihood", 2, rng.random((60, 2)), {}),
    "rows without a label": ("log_likelihood", 2, one_hot(C) * (X[:, 1:] > 0), {}),
    "smoothed": (("cross_entropy", {"label_smoothing": 0.1}), 1, C, {}),
    "the book's": ("quadratic", 2, one_hot(C), {}),
    "tanh with 0/1": ("quadratic", 1, C, {"output_activation": "tanh"}),
    "hinge 0/1": ("hinge", 1, C, {}),
    "hinge -1/1": ("hinge", 1, 2 * C - 1, {}),
    "counts": ("poisson", 1, rng.poisson(3, 60), {}),
    "directions": ("cosine", 2, 100 * X, {}),
    "by neuron": ("huber", 2, np.column_stack([C, 10 * X[:, 0]]),
                  {"output_activation": {"sigmoid": 1, "identity": 1}}),
    "own cost": (cbackprop.Cost(lambda a, y: ((a - y) ** 2).sum(axis=1), lambda a, y: 2 * (a - y)),
                 1, NUMBERS, {}),
    "own output": ("quadratic", 1, NUMBERS, {"output_activation": cbackprop.Activation(
        lambda z: z**3, lambda z: 3 * z**2)}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_makes_sense_is_trained_on(name):
    cost, outputs, y, settings = ALLOWED[name]
    assert len(network(cost, outputs, **settings).SGD((X, y), 1, 10, 1e-6)) == 1


def test_each_neuron_has_its_own_ends():
    net = network("huber", 2, output_activation={"sigmoid": 1, "tanh": 1})
    net.SGD((X, np.column_stack([C, 2 * C - 1])), 1, 10, 0.1)
    with one_line(ValueError, "from 0 to 1, as outputs of 'sigmoid' are, got -1 and 1"):
        net.SGD((X, np.column_stack([2 * C - 1, C])), 1, 10, 0.1)


def test_one_output_of_a_hinge_needs_both_signs():
    with one_line(ValueError, f"both signs.*{IDENTITY}"):
        network("hinge", output_activation="sigmoid").SGD((X, C), 1, 10, 0.1)
    network("hinge", 2, output_activation="sigmoid").SGD((X, C), 1, 10, 0.1)  # by the larger


def test_other_data_may_be_beyond_the_outputs_but_not_beyond_the_cost():
    scaled = (NUMBERS - NUMBERS.min()) / (np.ptp(NUMBERS) / 1.05)  # to 1.05
    net = network("quadratic")
    net.SGD((X, np.minimum(scaled, 1)), 1, 10, 0.1, evaluation_data=(X, scaled))
    assert net.total_cost((X, scaled)) > 0
    net = network("cross_entropy")
    with one_line(ValueError, f"y of evaluation_data must.*{SUBTRACT}"):
        net.SGD((X, C), 1, 10, 0.1, evaluation_data=(X, C + 1))
    with one_line(ValueError, f"y of test_data must.*{SUBTRACT}"):
        net.SGD((X, C), 1, 10, 0.1, (X, C + 1))


def test_derivatives_and_costs_of_any_targets_are_only_computed():
    net = network("cross_entropy", dtype="float64", initializer="zeros")  # a = 1/2
    assert net.backprop(X[:1], [[3.0]])[0][-1] == 0.5 - 3
    assert net.total_cost((X[:1], [[3.0]])) == pytest.approx(np.log(2))  # -3 ln(1/2) + 2 ln(1/2)


class Rows(cbackprop.RowSource):
    """Rows of which the last are wrong."""

    def __len__(self):
        return len(X)

    def take(self, indices):
        return X[indices], np.where(indices == len(X) - 1, 2.0, C[indices])[:, None]


def test_parts_of_a_source_are_looked_at_before_they_are_trained_on():
    net = network("cross_entropy")
    before = net.engine.core.parameters.copy()
    with one_line(ValueError, "y of training_data must be 0 to 1"):
        net.SGD(Rows(), 1, 10, 0.1)
    assert np.array_equal(net.engine.core.parameters, before)


def test_sparse_targets_and_the_books_pairs():
    sparse = pytest.importorskip("scipy.sparse")
    with one_line(ValueError, "divide by 255"):
        network("cross_entropy", 2).SGD((X, sparse.csr_matrix(255 * one_hot(C))), 1, 10, 0.1)
    pairs = [(x[:, None], y[:, None]) for x, y in zip(X, NUMBERS, strict=True)]
    from cbackprop.book import network as books
    for net in (network("quadratic"), books.Network([2, 3, 1])):
        with one_line(ValueError, "y of training_data must be from 0 to 1"):
            net.SGD(pairs, 1, 10, 0.1)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (1, 16), (17, 1), (33, 1000)])
def test_extremes(shape, dtype):
    values = rng.normal(size=shape).astype(dtype)
    low, high = arrays.extremes(values)
    if values.size:
        assert (low, high) == (values.min(), values.max())
    for wrong in (np.nan, np.inf, -np.inf):
        for at in {0, values.size // 2, values.size - 1} if values.size else ():
            other = values.copy()
            other.flat[at] = wrong
            assert not np.isfinite(arrays.extremes(other)).all()
