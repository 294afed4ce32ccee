"""BP1 and the costs where outputs saturate, against mpmath: every pair, both real types."""

import itertools

import numpy as np
import pytest

import cbackprop
from cbackprop.core import table

mp = pytest.importorskip("mpmath")
exact = pytest.importorskip("exact")

RTOL = {"float32": 1e-5, "float64": 1e-12}
# Numbers of both types
NEAR, FAR = ([z * sign for z in magnitudes for sign in (1, -1)]
             for magnitudes in ((2**-10, 0.375, 5, 17, 37, 88.5, 200, 720), (1e3, 1e4)))
Y = 0.0, 1.0, 3.0, -1.0
LOGARITHMS = {row.name for row in table.COSTS if row.logarithms}
CLASSES = [([0, 100], [1, 0]), ([0, 100], [0, 1]), ([0, 18, -3], [1, 0, 0]),
           ([0, 40, 3], [0, 1, 0]),
           ([0, 0.5, 1], [0, 0.25, 0.75]), ([-500, 500, 3], [1, 0, 0]),
           pytest.param([-1e4, 1e4, 3], [1, 0, 0], marks=pytest.mark.slow),
           ([90, 0, 80, -7], [0, 1, 0, 0]), ([2000, 0, 1000], [0.5, 0, 0.5]),
           ([0, 17, 0.5, 0.25, -3, 1, 2, 8, 4, 3, 0], [0] * 10 + [1])]


def with_biases(z, cost, activation, real):
    net = cbackprop.Network([1, len(z)], cost=cost, output_activation=activation, dtype=real,
                            initializer="zeros")
    net.biases[0][:, 0] = z
    return net


def delta(z, y, cost, activation, real):
    """dC/dz: what reaches the biases."""
    nabla_b, _ = with_biases(z, cost, activation, real).backprop([[0.0]], [y])
    return nabla_b[0][:, 0].astype(float)


def mistakes(found, right, real):
    """Yield what is not right: next to 0 it need only be as near, beyond the reals as far."""
    reals = np.finfo(real)
    for i, (value, true) in enumerate(zip(found, right, strict=True)):
        if mp.isnan(true):
            continue
        if abs(true) > reals.max / 2**20:
            good = abs(value) >= reals.max / 2**21 and np.sign(value) == mp.sign(true)
        else:
            good = abs(value - true) <= RTOL[real] * abs(true) + 16 * float(reals.tiny)
        if not good:
            yield i, value, float(true)


@pytest.mark.parametrize("zs", [NEAR, pytest.param(FAR, marks=pytest.mark.slow)],
                         ids=["near", "far"])
@pytest.mark.parametrize("activation", exact.ACTIVATIONS)
def test_every_pair(activation, zs):
    outputs = [exact.output(activation, x) for x in zs]
    wrong = []
    for cost, y in itertools.product(exact.COSTS, Y):
        if y < 0 and cost in LOGARITHMS:
            continue
        deltas, costs = [], []
        for x, (a, a_prime) in zip(zs, outputs, strict=True):
            with mp.workdps(exact.digits(x)):
                of_delta = exact.COSTS[cost][1](a, mp.mpf(y)) * a_prime
                of_cost = exact.COSTS[cost][0](a, mp.mpf(y))
            deltas.append(+of_delta)  # to fewer digits
            costs.append(+of_cost)
        for real in RTOL:
            found = delta(zs, np.full(len(zs), y), cost, activation, real)
            wrong += [(real, cost, y, "dC/dz", *what) for what in mistakes(found, deltas, real)]
            net = with_biases([0], cost, activation, real)
            net.weights[0][...] = 1
            found = [net.total_cost(([[x]], [[y]])) for x in zs]
            wrong += [(real, cost, y, "C", *what) for what in mistakes(found, costs, real)]
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(str(w) for w in wrong[:40])


@pytest.mark.parametrize("real", RTOL)
@pytest.mark.parametrize("cost", exact.COSTS)
@pytest.mark.parametrize(("z", "y"), CLASSES)
def test_softmax(z, y, cost, real):
    found = delta(z, y, cost, "softmax", real)
    assert not list(mistakes(found, exact.softmax_delta(cost, z, y), real))
    with mp.workdps(exact.digits(max(z) - min(z))):
        right = mp.fsum(exact.COSTS[cost][0](a, mp.mpf(t))
                        for a, t in zip(exact.softmax(z), y, strict=True))
    net = with_biases(z, cost, "softmax", real)
    assert not list(mistakes([net.total_cost(([[0.0]], [y]))], [right], real))


@pytest.mark.parametrize("real", RTOL)
def test_label_smoothing(real):
    cost = ("cross_entropy", {"label_smoothing": 0.125})
    for activation, y in itertools.product(["sigmoid", "tanh", "softplus"], [0.0, 1.0]):
        outputs = [exact.output(activation, x) for x in NEAR]
        moved = mp.mpf(0.0625 + 0.875 * y)
        right = []
        for x, (a, a_prime) in zip(NEAR, outputs, strict=True):
            with mp.workdps(exact.digits(x)):
                right.append(exact.COSTS["cross_entropy"][1](a, moved) * a_prime)
        found = delta(NEAR, np.full(len(NEAR), y), cost, activation, real)
        assert not list(mistakes(found, right, real)), (activation, y)
    cost = ("log_likelihood", {"label_smoothing": 0.125})
    for z, y in [([0, 100], [1, 0]), ([-500, 500, 3, 4], [1, 0, 0, 0]), ([0, 40], [0, 1])]:
        moved = [0.125 / len(z) + 0.875 * t for t in y]
        found = delta(z, y, cost, "softmax", real)
        assert not list(mistakes(found, exact.softmax_delta("log_likelihood", z, moved), real))
        with mp.workdps(exact.digits(max(z) - min(z))):
            right = mp.fsum(exact.COSTS["log_likelihood"][0](a, mp.mpf(t))
                            for a, t in zip(exact.softmax(z), moved, strict=True))
        net = with_biases(z, cost, "softmax", real)
        assert not list(mistakes([net.total_cost(([[0.0]], [y]))], [right], real))


@pytest.mark.parametrize("activation", [*exact.ACTIVATIONS, "softmax"])
def test_a_nan_stays_one(build, activation):
    """In outputs, costs, errors, and the gradients before them; and no class is right."""
    neurons = 2 if activation == "softmax" else 1
    rows = build.Rows(np.zeros((1, 1), build.REAL))
    for cost, y in itertools.product(build.COSTS, (0.0, 1.0, 3.0, -1.0)):
        core = build.Core((1, neurons), [activation], cost, 1.0)
        core.views(core.parameters)[1][0][...] = np.nan
        targets = build.Targets(np.full((1, neurons), y, build.REAL))
        right, total = core.evaluate(rows, targets)
        assert right == 0
        assert np.isnan(total), (cost, y)
        nabla = build.aligned(len(core.parameters))
        core.backprop(rows, targets, nabla)
        assert np.isnan(core.views(nabla)[1][0]).all(), (cost, y)
        outputs = np.full((1, neurons), np.nan, build.REAL)
        assert np.isnan(core.cost_derivative(outputs, np.full((1, neurons), y, build.REAL))).all()
    assert np.isnan(core.feedforward(np.zeros((1, 1), build.REAL))).all()


def test_a_nan_stays_one_in_elementary_functions(build):
    for name in build.ELEMENTARY:
        assert np.isnan(build.elementary(name, np.array([np.nan], build.REAL))).all(), name


@pytest.mark.parametrize("neurons", [2, 3, 17])
def test_neurons_that_differ(build, neurons):
    """A layer of three activations has the errors and costs of three layers, saturated or not."""
    kinds = [("sigmoid", neurons), ("softplus", neurons), ("tanh", 1)]
    z = np.random.default_rng(neurons).uniform(-120, 120, 2 * neurons + 1).astype(build.REAL)
    y = np.ones((1, z.size), build.REAL)
    rows = build.Rows(np.zeros((1, 1), build.REAL))
    for cost in exact.COSTS:
        found, total, first = [], 0.0, 0
        for runs in (kinds, *([run] for run in kinds)):
            count = sum(n for _, n in runs)
            core = build.Core((1, count), [runs], cost, 1.0)
            core.views(core.parameters)[1][0][:, 0] = z[first:first + count] if found else z
            targets = build.Targets(y[:, :count].copy())
            nabla = build.aligned(len(core.parameters))
            core.backprop(rows, targets, nabla)
            if found:
                total += core.evaluate(rows, targets)[1]
                first += count
            else:
                together = core.evaluate(rows, targets)[1]
            found.append(core.views(nabla)[1][0][:, 0].copy())
        np.testing.assert_allclose(found[0], np.concatenate(found[1:]), rtol=1e-6, atol=1e-37)
        np.testing.assert_allclose(together, total, rtol=1e-6)
