"""Networks as lanes, in every build: each ends up where it would end up alone."""

import numpy as np
import pytest
from cases import MIXED, Case, lanes
from reference import ACTIVATIONS, COSTS, OPTIMIZERS

from cbackprop import optimizers
from cbackprop.core import _runtime

NUMBERS = {name: kind().hyperparameters() for name, kind in optimizers.KNOWN.items()}
RULES = {
    "none": {}, "decays": {"l2": 0.1, "l1": 0.01, "weight_decay": 0.1},
    "clips": {"clip_value": 0.01, "clip_norm": 0.05, "max_norm": 0.9},
}


class Group:
    """Networks that are trained alone and, their twins, as lanes; on the same data."""

    def __init__(self, build, networks, sizes, *, n=29, targets=None, **functions):
        cases = [[Case(build, sizes, n=n, seed=seed, **functions) for seed in range(networks)]
                 for _ in range(2)]
        self.alone, self.twins = cases
        self.build, self.sizes, self.n = build, sizes, n
        self.rows = self.alone[0].rows
        self.targets = build.Targets(self.alone[0].y if targets is None else targets)
        self.lanes = build.Lanes([case.core for case in self.twins])
        self.examples = self.lanes.examples(self.rows, self.targets)
        self.seeds = np.random.default_rng(5).integers(
            2**64, size=(2, networks), dtype=np.uint64)
        self.etas = 0.05 * (1 + np.arange(networks) / networks)

    def states(self, cases, optimizer, **rules):
        rates = np.array(rules.pop("rates", [0] * (len(self.sizes) - 1)), self.build.REAL)
        found = []
        for at, (case, eta) in enumerate(zip(cases, self.etas, strict=True)):
            state = self.build.OptimizerState(case.core, optimizer)
            for slot in optimizers.ROWS[optimizer].starts_at_eta:
                state.slots[slot][...] = eta
            state.set(NUMBERS[optimizer], rates, seed=at, **rules)
            found.append(state)
        return found

    def train(self, m, optimizer="sgd", *, weights=None, numbers=None, shuffled=True, common=False,
              active=None, threads=1, **rules):
        """Train all for as many epochs as there are seeds; return the costs of both."""
        n = self.n if numbers is None else numbers.shape[1]
        steps = -(-n // m)
        networks = len(self.alone)
        expected = np.full((len(self.seeds), networks), np.nan)
        states = self.states(self.alone, optimizer, **rules)
        for at, (case, state) in enumerate(zip(self.alone, states, strict=True)):
            targets = self.targets if weights is None else self.build.Targets(
                self.targets.y, weights[at])
            for epoch in range(len(self.seeds) if active is None or active[at] else 0):
                order = np.arange(n)
                if shuffled:
                    order = _runtime.random_order(n, int(self.seeds[epoch, 0 if common else at]))
                if numbers is not None:
                    order = numbers[at][order].astype(np.intp)
                _, expected[epoch, at] = case.core.sgd(
                    self.rows, targets, order, m, np.full(steps, self.etas[at]), 0, n, state)
        own = self.states(self.twins, optimizer, **rules)
        costs = self.lanes.sgd(
            self.examples, own, np.repeat(self.etas[:, None], steps, 1),
            self.seeds if shuffled else None, numbers, weights or [None] * networks,
            np.ones(networks, np.uint8) if active is None else active, m, len(self.seeds), common,
            threads)
        return costs, expected, list(zip(states, own, strict=True))

    def agree(self, m, *args, bound=None, **kwargs):
        costs, expected, states = self.train(m, *args, **kwargs)
        if bound is None:
            bound = 1e-11 if self.build.REAL == "float64" else 2e-5
        np.testing.assert_allclose(costs, expected, rtol=bound, atol=bound)
        for case, twin in zip(self.alone, self.twins, strict=True):
            scale = max(1, np.abs(case.core.parameters).max())
            np.testing.assert_allclose(twin.core.parameters, case.core.parameters, rtol=0,
                                       atol=bound * scale)
            assert not twin.core.parameters[twin.padding()].any()
        for state, own in states:
            assert (own.steps, own.skipped_rows) == (state.steps, state.skipped_rows)
        used = ~self.alone[0].padding()
        for state, own in states:
            for slot, other in zip(state.slots, own.slots, strict=True):
                np.testing.assert_allclose(other[used], slot[used], rtol=0,
                                           atol=bound * max(1, np.abs(slot[used]).max()))
        said = self.lanes.feedforward(self.lanes.examples(self.rows))
        for case, outputs in zip(self.twins, said, strict=True):
            case.close(outputs, case.core.feedforward(self.rows))


def test_the_equations_are_those_of_the_reference(build):
    group = Group(build, lanes(build) + 1, (3, 5, 2), n=7)
    group.seeds = group.seeds[:1]
    group.train(7, shuffled=False)
    for at, case in enumerate(group.alone):  # its parameters have moved, its reference has not
        nabla_b, nabla_w = case.reference.backprop(group.rows.x, group.targets.y)
        for twin, before, nabla in zip(
                group.twins[at].weights + group.twins[at].biases,
                case.reference.weights + case.reference.biases, nabla_w + nabla_b, strict=True):
            case.close(twin, before - group.etas[at] * nabla)


@pytest.mark.parametrize("networks", [1, 3, 17])
@pytest.mark.parametrize("sizes", [(2, 1), (2, 8, 1), (3, 5, 4, 2), (7, 13, 3)], ids=str)
def test_any_number_of_networks_of_odd_sizes(build, networks, sizes):
    for m in (1, 8, 29):
        Group(build, networks, sizes).agree(m)


def test_more_rows_than_a_block(build):
    for optimizer in ("sgd", "adam"):
        Group(build, 3, (4, 6, 2), n=150).agree(133, optimizer, bound=None
                                                if build.REAL == "float64" else 1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(build, name):
    for functions in ({"hidden": name}, {"output": name}):
        group = Group(build, 3, (3, 5, 4), **functions)
        group.etas = group.etas / 10
        group.agree(8)


@pytest.mark.parametrize("output", ["softplus", "softmax"])
@pytest.mark.parametrize("name", COSTS)
def test_every_cost(build, name, output):
    signs = np.where(np.random.default_rng(0).random((29, 3)) > 0.5, 1, -1).astype(build.REAL)
    group = Group(build, 3, (3, 4, 3), cost=name, output=output,
                  targets=signs if "hinge" in name else None)
    group.etas = group.etas / 50
    group.agree(8, bound=1e-10 if build.REAL == "float64" else 1e-3)


def test_saturated_probabilities(build):
    labels = np.arange(29, dtype=np.intc) % 4
    for cost in ("log_likelihood", "cross_entropy", "focal", "quadratic"):
        for targets in (labels, np.eye(4, dtype=build.REAL)[labels] * 0.9 + build.Rows(
                np.full((29, 4), 0.025, build.REAL)).x):
            group = Group(build, 2, (3, 4), cost=cost, output="softmax", targets=targets)
            for case, twin in zip(group.alone, group.twins, strict=True):
                case.weights[0][...] *= 60
                twin.weights[0][...] = case.weights[0]
            group.agree(8)


def test_neurons_of_several_activations(build):
    group = Group(build, 3, (3, 5, 5), hidden=MIXED, output=MIXED)
    group.etas = group.etas / 10
    group.agree(8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_every_optimizer(build, optimizer, rules):
    # Adam's first step is eta times the sign of g, whatever its size: float32 may round that away.
    bound = None if build.REAL == "float64" else 0.006
    group = Group(build, 5, (3, 6, 2))
    group.agree(8, optimizer, bound=bound, **rules)
    weights = list(np.random.default_rng(1).integers(0, 2, (5, 29)).astype(build.REAL))
    Group(build, 5, (3, 4, 2)).agree(2, optimizer, bound=bound, weights=weights, **rules)


@pytest.mark.parametrize("m", [8, 70])
def test_each_draws_its_own_dropout_and_noise(build, m):
    group = Group(build, 5, (3, 9, 7, 2), hidden="relu", n=3 * m - 1)
    group.agree(m, "momentum", rates=[0.1, 0.3, 0.2], noise=0.05,
                bound=None if build.REAL == "float64" else 1e-3)


def test_orders_and_selected_rows(build):
    numbers = np.array([np.random.default_rng(at).permutation(29)[:20] for at in range(5)],
                       np.int32)
    Group(build, 5, (3, 4, 2)).agree(8, numbers=numbers)
    Group(build, 5, (3, 4, 2)).agree(8, numbers=numbers, shuffled=False)
    Group(build, 5, (3, 4, 2)).agree(8, common=True)
    weights = list(np.random.default_rng(1).random((5, 29)).astype(build.REAL))
    Group(build, 5, (3, 4, 2)).agree(8, common=True, weights=weights)


def test_scales_and_layers_without_biases(build):
    cases = []
    for kwargs in ({"scales": 0.5}, {"scales": np.array([1, 2, 0.5], build.REAL)}):
        Group(build, 3, (3, 4, 2), **kwargs).agree(8)
    for _ in range(2):
        case = Case(build, (3, 4, 2))
        core = build.Core((3, 4, 2), ["tanh", "sigmoid"], "quadratic", 1.0, [False, True])
        core.parameters[...] = case.core.parameters
        core.views(core.parameters)[1][0][...] = 0
        cases.append((case, core))
    (case, alone), (_, twin) = cases
    states = [build.OptimizerState(core, "sgd") for core in (alone, twin)]
    for state in states:
        state.set({}, np.zeros(2, build.REAL))
    alone.sgd(case.rows, case.targets, np.arange(10), 5, np.full(2, 0.3), 0, 10, states[0])
    group = build.Lanes([twin])
    group.sgd(group.examples(case.rows, case.targets), states[1:], np.full((1, 2), 0.3), None, None,
              [None], np.ones(1, np.uint8), 5, 1, False)
    case.close(twin.parameters, alone.parameters)
    assert not twin.views(twin.parameters)[1][0].any()


def test_who_diverges_or_rests_keeps_its_parameters(build):
    group = Group(build, lanes(build) + 2, (3, 4, 2), output="identity")
    before = [case.core.parameters.copy() for case in group.twins]
    active = np.ones(len(group.twins), np.uint8)
    active[1] = 0
    group.etas[2] = np.finfo(build.REAL).max / 10
    costs, *_ = group.train(8, "momentum", active=active.copy())
    assert np.isnan(costs[:, 1:3]).all()
    assert np.isfinite(np.delete(costs, [1, 2], axis=1)).all()
    for at in (1, 2):
        assert np.array_equal(group.twins[at].core.parameters, before[at])
    group.twins[0].close(group.twins[0].core.parameters, group.alone[0].core.parameters)


def test_the_number_of_threads_changes_no_bit(build):
    found = []
    for threads in (1, 2):
        group = Group(build, 3 * lanes(build) + 1, (3, 4, 2))
        costs, *_ = group.train(8, "adam", threads=threads)
        found.append([costs, *(case.core.parameters for case in group.twins)])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("change", "error"), [
    ({"m": 0}, "mini-batches of 1 to 29 rows"), ({"m": 30}, "mini-batches of 1 to 29 rows"),
    ({"weights": [np.ones(3)] * 3}, "weights must be 29, got 3"),
    ({"numbers": np.full((3, 5), 29, np.int32)}, "numbers must be of rows below 29"),
    ({"numbers": np.zeros((3, 5), np.int32), "common": True}, "numbers must be None"),
], ids=str)
def test_what_does_not_fit_is_refused(build, change, error):
    group = Group(build, 3, (3, 4, 2))
    if "weights" in change:
        change["weights"] = [each.astype(build.REAL) for each in change["weights"]]
    given = {"m": 8, "numbers": None, "weights": [None] * 3, "common": False} | change
    n = 29 if given["numbers"] is None else given["numbers"].shape[1]
    steps = -(-n // max(1, given["m"]))
    with pytest.raises(ValueError, match=error):
        group.lanes.sgd(group.examples, group.states(group.twins, "sgd"), np.ones((3, steps)), None,
                        given["numbers"], given["weights"], np.ones(3, np.uint8), given["m"], 1,
                        given["common"])


def test_networks_must_be_equal(build):
    cores = [Case(build, sizes).core for sizes in ((3, 2), (3, 4))]
    with pytest.raises(ValueError, match=r"^networks must have the same sizes"):
        build.Lanes(cores)
    with pytest.raises(ValueError, match=r"^networks must be one or more"):
        build.Lanes([])
