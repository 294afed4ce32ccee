"""The book's modules: the same draws, lines, lists, files and weights as its own code gives."""

import contextlib
import copy
import functools
import json
import os
import pickle
import random
import re
import signal
import threading

import book_oracle as oracle
import numpy as np
import pytest

from cbackprop import datasets
from cbackprop.book import learner, mnist_loader, network, network2, shuffling

SEED = 12
CLOSE = {"rtol": 1e-9, "atol": 0}
XOR = [([[0], [0]], [[0]]), ([[0], [1]], [[1]]), ([[1], [0]], [[1]]), ([[1], [1]], [[0]])]


def seeded(make, *args, **kwargs):
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  from where the book draws
    return make(*args, **kwargs)


def pairs(n=23, inputs=6, outputs=4, seed=0, labels=False):
    """Make pairs of columns, or of columns and labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, inputs, 1))
    wanted = rng.integers(0, outputs, n)
    return list(zip(x, wanted if labels else np.eye(outputs)[wanted][:, :, None], strict=True))


@pytest.fixture(scope="module")
def digits():
    """MNIST's subset as mnist_loader gives the whole."""
    (x, y), (x_test, y_test) = datasets.load_mnist()
    x, x_test = ((a / 256).astype(np.float32)[:, :, None] for a in (x, x_test))
    return (list(zip(x, map(mnist_loader.vectorized_result, y), strict=True)),
            list(zip(x_test, y_test, strict=True)))


def assert_close(net, wanted, **tolerance):
    for found, parts in zip((net.weights, net.biases), wanted, strict=True):
        assert type(found) is list
        for a, b in zip(found, parts, strict=True):
            assert type(a) is np.ndarray
            assert a.dtype == np.float64
            np.testing.assert_allclose(a, b, **(tolerance or CLOSE))


# ---- what is drawn ----


def test_biases_are_drawn_first_then_weights():
    net = seeded(network.Network, [3, 4, 2])
    assert (net.num_layers, net.sizes) == (3, [3, 4, 2])
    assert_close(net, seeded(oracle.parameters, [3, 4, 2], False), rtol=0)
    net = seeded(network2.Network, [3, 4, 2])
    assert_close(net, seeded(oracle.parameters, [3, 4, 2], True), rtol=1e-15)
    assert net.cost is network2.CrossEntropyCost
    seeded(net.large_weight_initializer)
    assert_close(net, seeded(oracle.parameters, [3, 4, 2], False), rtol=0)
    seeded(net.default_weight_initializer)
    assert_close(net, seeded(oracle.parameters, [3, 4, 2], True), rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 31, 32, 33, 1000, 4097])
def test_shuffle_is_pythons(n):
    wanted, items, order = list(range(n)), list(range(n)), np.arange(n)
    seeded(random.shuffle, wanted)
    drawn = random.random()
    seeded(shuffling.shuffle, items, order)
    assert items == wanted == order.tolist()
    assert random.random() == drawn
    assert shuffling.is_known()


def test_a_shuffle_of_the_callers_is_used(monkeypatch):
    monkeypatch.setattr(random, "shuffle", list.reverse)
    items, order = list("abc"), np.array([5, 6, 7])
    shuffling.shuffle(items, order)
    assert (items, order.tolist()) == (["c", "b", "a"], [7, 6, 5])


@pytest.mark.parametrize("is_known", [True, False])
def test_the_callers_list_is_shuffled_in_place(monkeypatch, is_known):
    monkeypatch.setattr(shuffling, "is_known", lambda: is_known)
    given = pairs()
    wanted = list(given)
    net = network.Network([6, 5, 4])
    seeded(net.SGD, given, 3, 10, 0.1)
    random.seed(SEED)
    for _ in range(3):
        random.shuffle(wanted)
    assert [id(pair) for pair in given] == [id(pair) for pair in wanted]


# ---- training ----


def test_chapter_1(digits, capsys):
    training, test = list(digits[0]), digits[1]
    net = seeded(network.Network, [784, 30, 10])
    assert net.SGD(training, 2, 10, 3.0, test_data=test) is None
    weights, biases = seeded(oracle.parameters, [784, 30, 10], False)
    lines = []
    for epoch, found in enumerate(oracle.epochs(weights, biases, list(digits[0]), 2, 10, 3.0)):
        lines.append(f"Epoch {epoch}: {oracle.correct(*found, test)} / 1000\n")
    assert capsys.readouterr().out == "".join(lines)
    assert_close(net, found, rtol=1e-9, atol=1e-12)
    assert net.evaluate(test) == oracle.correct(*found, test)


@pytest.mark.parametrize("sizes", [[6, 4], [6, 5, 4], [6, 7, 5, 4]])
def test_a_last_mini_batch_is_shorter(sizes, capsys):
    net = seeded(network.Network, sizes)
    net.SGD(pairs(), 2, 10, 0.7)
    assert capsys.readouterr().out == "Epoch 0 complete\nEpoch 1 complete\n"
    *_, wanted = oracle.epochs(*seeded(oracle.parameters, sizes, False), pairs(), 2, 10, 0.7)
    assert_close(net, wanted)


@pytest.mark.parametrize("cost", ["QuadraticCost", "CrossEntropyCost"])
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("lmbda", [0.0, 5.0])
def test_network2(cost, made, lmbda, capsys):
    kind = getattr(network2, cost)
    net = seeded(network2.Network, [6, 5, 4], cost=kind() if made else kind)
    training, evaluation = pairs(), pairs(9, seed=1, labels=True)
    found = net.SGD(training, 3, 10, 0.5, lmbda, evaluation, True, True, True, True)
    assert isinstance(found, tuple)
    given = pairs()
    x, y = oracle.columns(given)
    x_e, labels = oracle.columns(evaluation)
    y_e = np.eye(4)[:, labels.astype(int).ravel()]
    entropy = cost == "CrossEntropyCost"
    delta = oracle.delta_cross_entropy if entropy else oracle.delta_quadratic
    wanted = [], [], [], []
    for state in oracle.epochs(
            *seeded(oracle.parameters, [6, 5, 4], True), given, 3, 10, 0.5, lmbda, delta):
        wanted[0].append(oracle.cost(*state, x_e, y_e, lmbda, entropy))
        wanted[1].append(oracle.correct(*state, evaluation))
        wanted[2].append(oracle.cost(*state, x, y, lmbda, entropy))
        wanted[3].append(oracle.correct(*state, [(a, np.argmax(b)) for a, b in given]))
    assert_close(net, state)
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert capsys.readouterr().out == "".join(
        f"Epoch {j} training complete\n"
        f"Cost on training data: {found[2][j]}\nAccuracy on training data: {wanted[3][j]} / 23\n"
        f"Cost on evaluation data: {found[0][j]}\n"
        f"Accuracy on evaluation data: {wanted[1][j]} / 9\n\n" for j in range(3))
    assert net.total_cost(training, lmbda) == found[2][-1]
    assert net.total_cost(evaluation, lmbda, convert=True) == found[0][-1]
    assert net.accuracy(training, convert=True) == found[3][-1]
    assert net.accuracy(evaluation) == found[1][-1]


def test_network2_prints_no_more_than_is_monitored(capsys):
    net = network2.Network([6, 5, 4])
    assert net.SGD(pairs(), 1, 10, 0.5) == ([], [], [], [])
    assert capsys.readouterr().out == "Epoch 0 training complete\n\n"
    found = net.SGD(pairs(), 1, 10, 0.5, evaluation_data=pairs(labels=True),
                    monitor_evaluation_accuracy=True)
    assert [len(part) for part in found] == [0, 1, 0, 0]
    assert re.fullmatch(r"Epoch 0 training complete\nAccuracy on evaluation data: \d+ / 23\n\n",
                        capsys.readouterr().out)


def test_arguments_have_the_books_order():
    net = network.Network([6, 4])
    net.SGD(training_data=pairs(), epochs=1, mini_batch_size=10, eta=0.5, test_data=None)
    net.update_mini_batch(mini_batch=pairs(), eta=0.5)
    net = network2.Network([6, 4], network2.QuadraticCost)
    net.SGD(pairs(), 1, 10, 0.5, 0.1, pairs(labels=True), False, False, False, False)
    net.update_mini_batch(pairs(), 0.5, 0.1, 100)


def test_update_mini_batch():
    net, net2 = seeded(network.Network, [6, 5, 4]), seeded(network2.Network, [6, 5, 4])
    net.update_mini_batch(pairs(), 0.5)
    net2.update_mini_batch(pairs(), 0.5, 3.0, 100)
    x, y = oracle.columns(pairs())
    assert_close(net, oracle.step(*seeded(oracle.parameters, [6, 5, 4], False), x, y, 0.5))
    assert_close(net2, oracle.step(*seeded(oracle.parameters, [6, 5, 4], True), x, y, 0.5,
                                   1 - 0.5 * 3.0 / 100, oracle.delta_cross_entropy))


def test_backprop_and_feedforward():
    net = seeded(network.Network, [6, 5, 4])
    (x, y), = pairs(1)
    nabla_b, nabla_w = net.backprop(x, y)
    moved = oracle.step(net.weights, net.biases, x, y, 1.0)
    for found, before, after in zip((nabla_w, nabla_b), (net.weights, net.biases), moved,
                                    strict=True):
        for g, p, q in zip(found, before, after, strict=True):
            np.testing.assert_allclose(g, p - q, rtol=1e-9, atol=1e-14)
    a = oracle.outputs(net.weights, net.biases, x)[-1]
    np.testing.assert_allclose(net.feedforward(x), a, rtol=1e-14)
    np.testing.assert_allclose(net.feedforward(np.hstack([x, -x, x]))[:, [0, 2]],
                               np.hstack([a, a]), rtol=1e-14)
    np.testing.assert_array_equal(net.cost_derivative(a, y), a - y)


# ---- parameters ----


def test_parameters_can_be_assigned():
    net = network.Network([6, 5, 4])
    weights, biases = seeded(oracle.parameters, [6, 5, 4], False)
    net.weights = [w.tolist() for w in weights]
    net.biases = list(biases)
    net.weights[0] = weights[0] + 1
    net.weights[1] = np.zeros((4, 5))
    net.weights[1][...] = weights[1]
    net.biases[0] = net.biases[0] * 2
    net.biases[1] += 1
    weights[0] = weights[0] + 1
    biases = [biases[0] * 2, biases[1]]
    given = pairs(labels=True)
    assert net.evaluate(given) == oracle.correct(weights, biases, given)
    net.weights = [np.array(w) for w in net.weights]
    random.seed(SEED)
    net.SGD(pairs(), 1, 10, 0.7)
    random.seed(SEED)
    (wanted,) = oracle.epochs(weights, biases, pairs(), 1, 10, 0.7)
    assert_close(net, wanted)


def test_whoever_keeps_parameters_keeps_them_as_they_are():
    net = network.Network([6, 5, 4])
    best, first = net.weights, net.weights[0].copy()
    net.SGD(pairs(), 1, 10, 0.7)
    assert not np.array_equal(net.weights[0], first)
    np.testing.assert_array_equal(best[0], first)
    net.weights = best
    np.testing.assert_array_equal(net.weights[0], first)


@pytest.mark.parametrize("change", [
    lambda net: setattr(net, "weights", net.weights[:1]),
    lambda net: net.biases.__setitem__(0, np.zeros(5)),
    lambda net: net.weights.__setitem__(1, np.zeros((5, 4))),
])
def test_parameters_that_do_not_fit(change):
    net = network.Network([6, 5, 4])
    change(net)
    with pytest.raises(ValueError, match=r"^(weights|biases)(\[\d\])? must (be|have)"):
        net.SGD(pairs(), 1, 10, 0.7)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_independent(copied):
    net = network2.Network([6, 5, 4])
    net.SGD(pairs(), 1, 10, 0.7)
    other = copied(net)
    assert_close(other, (net.weights, net.biases), rtol=0)
    before = copy.deepcopy((net.weights, net.biases))
    other.SGD(pairs(), 1, 10, 0.7)
    assert_close(net, before, rtol=0)


# ---- what a script brings of its own ----


def trained(net, *more):
    seeded(net.SGD, pairs(), 2, 10, 0.5, *more)
    return net


def oracles(sizes, scaled, delta, *, lmbda=0.0):
    start = seeded(oracle.parameters, sizes, scaled)
    return list(seeded(oracle.epochs, *start, pairs(), 2, 10, 0.5, lmbda, delta))[-1]


def test_cost_derivative_of_a_subclass():
    class Tripled(network.Network):
        def cost_derivative(self, output_activations, y):
            return 3 * (output_activations - y)

    net = trained(seeded(Tripled, [6, 5, 4]))
    assert_close(net, oracles([6, 5, 4], False, lambda a, y: 3 * oracle.delta_quadratic(a, y)))


@pytest.mark.parametrize("module", [network, network2])
def test_backprop_of_a_subclass(module):
    class Halved(module.Network):
        def backprop(self, x, y):
            nabla_b, nabla_w = super().backprop(x, y)
            return [g / 2 for g in nabla_b], [g / 2 for g in nabla_w]

    net = trained(seeded(Halved, [6, 5, 4]))
    whole = oracle.delta_quadratic if module is network else oracle.delta_cross_entropy
    assert_close(net, oracles([6, 5, 4], module is network2, lambda a, y: whole(a, y) / 2))


@pytest.mark.parametrize("lmbda", [0.0, 2.0])
def test_update_mini_batch_of_a_subclass(lmbda):
    sizes = []

    class Counting(network2.Network):
        @functools.wraps(network2.Network.update_mini_batch)
        def update_mini_batch(self, mini_batch, *args):
            sizes.append(len(mini_batch))
            super().update_mini_batch(mini_batch, *args)

    net = trained(seeded(Counting, [6, 5, 4]), lmbda)
    assert sizes == 2 * [10, 10, 3]
    assert_close(net, oracles([6, 5, 4], True, oracle.delta_cross_entropy, lmbda=lmbda))


def test_feedforward_of_a_subclass(capsys):
    class Silent(network.Network):
        def feedforward(self, a):
            return np.eye(4)[:, [2]]

    net, given = Silent([6, 5, 4]), pairs(labels=True)
    twos = sum(y == 2 for _, y in given)
    assert net.evaluate(given) == twos
    net.SGD(pairs(), 1, 10, 0.5, given)
    assert capsys.readouterr().out == f"Epoch 0: {twos} / 23\n"

    class Silent2(network2.Network):
        feedforward = Silent.feedforward

    net = Silent2([6, 5, 4], cost=network2.QuadraticCost)
    assert net.accuracy(given) == twos
    assert net.total_cost(given, 0.0, convert=True) == pytest.approx((23 - twos) / 23)


def test_evaluations_of_a_subclass(capsys):
    class Sure(network.Network):
        def evaluate(self, test_data):
            assert test_data is given
            return 7

    given = pairs(labels=True)
    Sure([6, 4]).SGD(pairs(), 1, 10, 0.5, given)
    assert capsys.readouterr().out == "Epoch 0: 7 / 23\n"

    class Sure2(network2.Network):
        def accuracy(self, data, convert=False):
            return 8 + convert

        def total_cost(self, data, lmbda, convert=False):
            return lmbda + convert

    assert Sure2([6, 4]).SGD(pairs(), 1, 10, 0.5, 3.0, given, True, True, True, True) == (
        [4.0], [8], [3.0], [9])


def test_methods_of_an_object_and_of_the_module(monkeypatch):
    net = seeded(network.Network, [6, 5, 4])
    net.cost_derivative = lambda a, y: 0 * a
    before = copy.deepcopy((net.weights, net.biases))
    assert_close(trained(net), before, rtol=0)
    monkeypatch.setattr(network.Network, "backprop",
                        lambda self, x, y: ([0 * b for b in self.biases],
                                            [0 * w for w in self.weights]))
    net = seeded(network.Network, [6, 5, 4])
    assert_close(trained(net), before, rtol=0)


def assert_same_lines(found, wanted):
    """Compare what was printed: the same text, and costs to twelve digits."""
    number = re.compile(r"(?<=data: )(?:\S+)$", re.MULTILINE)
    assert number.sub("", found) == number.sub("", wanted)
    np.testing.assert_allclose(*([float(x) for x in number.findall(text)]
                                 for text in (found, wanted)), rtol=1e-12)


def halved(method):
    """Change what a method, with self or without, gives."""
    def changed(*args, **kwargs):
        value = method(*args, **kwargs)
        if type(value) is tuple:
            return [[p / 2 for p in part] for part in value]
        return value[::-1] / 2 if np.ndim(value) else value / 2
    return changed


def clipped(self, name, value):
    """Watch every step, as a subclass's __setattr__ or property does."""
    if name in {"weights", "biases"}:
        value = [np.clip(p, -0.5, 0.5) for p in value]
    self.__dict__[name] = value


def on_the_class(name, change):
    def replace(patch, of, net):
        patch.setattr(type(net), name, change(getattr(type(net), name)))
    return replace


def on_the_object(name, change):
    def replace(patch, of, net):
        setattr(net, name, change(getattr(net, name)))
    return replace


def in_the_module(**functions):
    def replace(patch, of, net):
        for name, function in functions.items():
            patch.setattr(of, name, function)
    return replace


def watched_by_a_property(patch, of, net):
    net.__dict__["_kept"] = net.__dict__.pop("weights")

    def keep(self, value):
        self._kept = [w / 2 for w in value]
    patch.setattr(type(net), "weights", property(lambda self: self._kept, keep), raising=False)


def anothers_feedforward(patch, of, net):
    other = copy.copy(net)
    other.weights = [-w for w in net.weights]
    net.feedforward = other.feedforward


def in_another_order(patch, of, net):
    patch.setattr(of, "random", random.Random(99))


def sorted_not_shuffled(patch, of, net):
    patch.setattr(of.random, "shuffle", lambda items: items.sort(key=lambda pair: pair[0][0, 0]))


def with_other_examples(patch, of, net):
    def shuffle(items):
        items[:] = [(x + 0.5, y) for x, y in items[::-1]]
    patch.setattr(of.random, "shuffle", shuffle)


def after_an_epoch(patch, of, net):
    evaluate = net.evaluate

    def then_tanh(test_data):
        patch.setattr(of, "sigmoid", np.tanh)
        return evaluate(test_data)
    net.evaluate = then_tanh


REPLACED = {
    "sigmoid": in_the_module(sigmoid=np.tanh),
    "sigmoid_prime": in_the_module(sigmoid_prime=lambda z: np.exp(-z**2)),
    "tanh": in_the_module(sigmoid=np.tanh, sigmoid_prime=lambda z: 1 - np.tanh(z) ** 2),
    "num_layers": lambda patch, of, net: setattr(net, "num_layers", 2),
    "__setattr__": on_the_class("__setattr__", lambda _: clipped),
    "weights": watched_by_a_property,
    "random": in_another_order,
    "shuffle": sorted_not_shuffled,
    "examples": with_other_examples,
    "another's feedforward": anothers_feedforward,
    "update_mini_batch": on_the_class("update_mini_batch", lambda method: (
        lambda net, given, *more: method(net, given[:2], *more))),
    **{f"{name} {place.__name__}": place(name, halved) for name in ("backprop", "feedforward")
       for place in (on_the_class, on_the_object)},
}
REPLACED_1 = REPLACED | {"after an epoch": after_an_epoch} | {
    f"{name} {place.__name__}": place(name, halved) for name in ("cost_derivative", "evaluate")
    for place in (on_the_class, on_the_object)}
REPLACED_2 = REPLACED | {
    f"{name} {place.__name__}": place(name, halved) for name in ("accuracy", "total_cost")
    for place in (on_the_class, on_the_object)} | {
    f"{cost}.{name}": lambda patch, of, net, cost=cost, name=name: patch.setattr(
        getattr(of, cost), name, staticmethod(halved(getattr(getattr(of, cost), name))))
    for cost in ("QuadraticCost", "CrossEntropyCost") for name in ("fn", "delta")} | {
    "cost": lambda patch, of, net: setattr(net, "cost", Fourth),
    "vectorized_result": in_the_module(vectorized_result=lambda j: np.full((4, 1), 0.1) * j),
}


def both_runs(monkeypatch, capsys, ours, book, replace, *made, train):
    """Run ours and the book's, replaced the same way; return ours, its lines and the book's."""
    runs = []
    for of, kind in ((ours, ours.Network), book):
        with monkeypatch.context() as patch:
            net = seeded(kind, [6, 7, 5, 4], *(getattr(of, name) for name in made))
            if replace is not None:
                replace(patch, of, net)
            seeded(net.SGD, pairs(), 2, 10, 0.5, *train)
            lines = capsys.readouterr().out
            runs.append((net.weights, net.biases, lines))
    (weights, biases, lines), (*wanted, wanted_lines) = runs
    for found, parts in zip((weights, biases), wanted, strict=True):
        for a, b in zip(found, parts, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert_same_lines(lines, wanted_lines)
    return np.concatenate([p.ravel() for p in (*weights, *biases)]), lines


@pytest.mark.parametrize("name", REPLACED_1)
def test_what_a_script_replaces_in_chapter_1(name, monkeypatch, capsys):
    run = functools.partial(both_runs, monkeypatch, capsys, network, (oracle, oracle.Network1),
                            train=(pairs(19, seed=1, labels=True),))
    changed, lines = run(REPLACED_1[name])
    usual, usual_lines = run(None)
    assert lines != usual_lines or not np.array_equal(changed, usual)


@pytest.mark.parametrize("cost", ["QuadraticCost", "CrossEntropyCost"])
@pytest.mark.parametrize("name", REPLACED_2)
def test_what_a_script_replaces_in_chapter_3(name, cost, monkeypatch, capsys):
    run = functools.partial(
        both_runs, monkeypatch, capsys, network2, (oracle, oracle.Network2),
        train=(0.3, pairs(19, seed=1, labels=True), True, True, True, True))
    changed, lines = run(REPLACED_2[name], cost)
    usual, usual_lines = run(None, cost)
    other_cost = name.endswith((".fn", ".delta")) and not name.startswith(cost)
    assert other_cost == (lines == usual_lines and np.array_equal(changed, usual))


def test_where_nothing_is_replaced_the_core_trains(monkeypatch):
    def never(*args):
        raise AssertionError
    for name in ("step", "is_correct"):
        monkeypatch.setattr(learner, name, never)
    for function in (network2.CrossEntropyCost, network2.QuadraticCost):
        net = network2.Network([6, 5, 4], function)
        for method in ("feedforward", "backprop"):
            setattr(net, method, getattr(net, method))  # the object's own, and still the book's
        net.SGD(pairs(), 1, 10, 0.5, 0.1, pairs(), True, True, True, True)
        net.update_mini_batch(pairs(), 0.5, 0.1, 23)


def test_an_initializer_of_a_subclass():
    class Small(network2.Network):
        def large_weight_initializer(self):
            raise AssertionError

        def default_weight_initializer(self):
            super().default_weight_initializer()
            self.weights = [w / 10 for w in self.weights]

    weights, biases = seeded(oracle.parameters, [3, 4, 2], True)
    assert_close(seeded(Small, [3, 4, 2]), ([w / 10 for w in weights], biases), rtol=1e-14)

    class Own(network.Network):
        large_weight_initializer = None     # which chapter 1 has not

    assert_close(seeded(Own, [3, 4, 2]), seeded(oracle.parameters, [3, 4, 2], False), rtol=0)


def test_methods_are_called_as_the_book_calls_them():
    class Narrow(network2.Network):
        def total_cost(self, data, lmbda):
            return 1.5

        def accuracy(self, data):
            return 2

    found = Narrow([6, 4]).SGD(pairs(), 1, 10, 0.5, 0.0, pairs(), False, True, True, False)
    assert found == ([], [2], [1.5], [])


def test_a_cost_may_lack_what_is_not_asked_for():
    class Only:
        delta = Fourth.delta

    net = seeded(network2.Network, [6, 5, 4], None)
    net.cost = Only
    trained(net)
    assert_close(net, oracles([6, 5, 4], True, lambda a, y: (a - y) ** 3 * a * (1 - a)))
    with pytest.raises(AttributeError, match="fn"):
        net.total_cost(pairs(), 0.0)


def test_layers_may_be_added_and_taken_away():
    net, book = seeded(network.Network, [6, 5, 4]), seeded(oracle.Network1, [6, 5, 4])
    del net.sizes
    for one in (net, book):
        rng = np.random.default_rng(3)
        one.weights = [*one.weights, rng.standard_normal((3, 4))]
        one.biases = [*one.biases, rng.standard_normal((3, 1))]
        one.num_layers += 1
        one.update_mini_batch(pairs(outputs=3), 0.5)
    assert_close(net, (book.weights, book.biases))
    x = pairs()[0][0]
    hidden = oracle.outputs(net.weights, net.biases, x)[2]
    net.weights = net.weights[:-1]  # the book's zip ends there
    np.testing.assert_allclose(net.feedforward(x), hidden, rtol=1e-14)


@pytest.mark.parametrize(("monitored", "at"), [
    ("monitor_evaluation_accuracy", 1), ("monitor_training_accuracy", 3)])
@pytest.mark.parametrize("n", [1, 2])
def test_early_stopping_n(monitored, at, n, capsys):
    arguments = (pairs(15, seed=1, labels=True),)
    net = seeded(network2.Network, [6, 5, 4])
    accuracies = seeded(net.SGD, pairs(), 30, 10, 0.5, 0.0, *arguments, **{monitored: True})[at]
    lines = capsys.readouterr().out.split("\n\n")
    risen = [a > max(accuracies[:epoch], default=0) for epoch, a in enumerate(accuracies)]
    end = next(epoch for epoch in range(n, 31) if not any(risen[epoch - n:epoch]))
    assert end < 30
    net = seeded(network2.Network, [6, 5, 4])
    found = seeded(net.SGD, pairs(), 30, 10, 0.5, 0.0, *arguments, **{monitored: True},
                   early_stopping_n=n)[at]
    assert found == accuracies[:end]
    assert capsys.readouterr().out.split("\n\n")[:-1] == lines[:end]


@pytest.mark.parametrize(("n", "message"), [
    (2, "early_stopping_n needs monitor_evaluation_accuracy or monitor_training_accuracy"),
    (-1, "early_stopping_n must be an integer of at least 0, got -1"),
])
def test_bad_early_stopping_n(n, message):
    with pytest.raises(ValueError, match=message):
        network2.Network([6, 4]).SGD(pairs(), 1, 10, 0.5, early_stopping_n=n)


def test_names_of_a_subclasss_own():
    class Own(network2.Network):
        def __init__(self, sizes):
            super().__init__(sizes)
            self._cost = self._accuracy = self._step = self._train = self._update = 0
            self._epochs = self._correct = self._outputs = self._known = self._total_cost = None

    net, plain = seeded(Own, [6, 5, 4]), seeded(network2.Network, [6, 5, 4])
    monitored = [seeded(one.SGD, pairs(), 1, 10, 0.5, 0.1, pairs(), True, True, True, True)
                 for one in (net, plain)]
    assert monitored[0] == monitored[1]


def test_a_star_imports_what_the_books_modules_have():
    for module, names in (("network", "Network np random sigmoid sigmoid_prime"),
                          ("network2", "CrossEntropyCost Network QuadraticCost json load np random "
                                       "sigmoid sigmoid_prime sys vectorized_result"),
                          ("mnist_loader", "load_data load_data_wrapper np vectorized_result")):
        found = {}
        exec(f"from cbackprop.book.{module} import *", found)
        assert set(names.split()) <= set(found)


class Fourth:
    """A cost of the caller's: a quarter of the fourth power."""

    @staticmethod
    def fn(a, y):
        return np.sum((a - y) ** 4) / 4

    @staticmethod
    def delta(z, a, y):
        return (a - y) ** 3 * network2.sigmoid_prime(z)


class Doubled(network2.QuadraticCost):
    """One of the book's with another delta."""

    @staticmethod
    def delta(z, a, y):
        return 2 * (a - y) * network2.sigmoid_prime(z)


@pytest.mark.parametrize("made", [False, True])
def test_a_cost_of_the_callers(made):
    net = seeded(network2.Network, [6, 5, 4], cost=Fourth() if made else Fourth)
    trained(net)
    assert_close(net, oracles([6, 5, 4], True, lambda a, y: (a - y) ** 3 * a * (1 - a)))
    x, labels = oracle.columns(pairs(labels=True))
    a = oracle.outputs(net.weights, net.biases, x)[-1]
    fourth = np.sum((a - np.eye(4)[:, labels.astype(int).ravel()]) ** 4) / 4 / 23
    assert net.total_cost(pairs(), 0.0) == pytest.approx(fourth)
    assert net.total_cost(pairs(labels=True), 0.0, convert=True) == pytest.approx(fourth)
    net = seeded(network2.Network, [6, 5, 4], cost=Doubled() if made else Doubled)
    trained(net)
    assert_close(net, oracles([6, 5, 4], True, lambda a, y: 2 * oracle.delta_quadratic(a, y)))
    assert net.total_cost(pairs(), 0.0) == pytest.approx(
        oracle.cost(net.weights, net.biases, *oracle.columns(pairs()), 0.0, False))


def test_a_cost_may_be_exchanged():
    net = seeded(network2.Network, [6, 5, 4])
    net.cost = network2.QuadraticCost
    assert_close(trained(net), oracles([6, 5, 4], True, oracle.delta_quadratic))


def test_fn_of_a_subclass_meets_its_pairs():
    class Own(network2.CrossEntropyCost):
        @staticmethod
        def fn(a, y):
            return np.sum(np.abs(a - y))

    given = pairs()
    net = network2.Network([6, 5, 4], Own)
    (found,) = net.SGD(given, 1, 10, 0.5, monitor_training_cost=True)[2]
    x, y = oracle.columns(given)
    a = oracle.outputs(net.weights, net.biases, x)[-1]
    assert found == pytest.approx(np.abs(a - y).sum() / 23)
    net.feedforward = functools.partial(network2.Network.feedforward, net)
    for net.cost in (Own, network2.CrossEntropyCost):
        slow = net.SGD(given, 1, 10, 0.0, monitor_training_cost=True)[2]
        assert slow == [pytest.approx(net.total_cost(pairs(), 0.0))]


def test_a_cost_of_the_callers_may_want_any_y():
    class Weighted(Fourth):
        @staticmethod
        def fn(a, y):
            return y[1] * Fourth.fn(a, y[0])

        @staticmethod
        def delta(z, a, y):
            return y[1] * Fourth.delta(z, a, y[0])

    net = seeded(network2.Network, [6, 5, 4], Weighted)
    seeded(net.SGD, [(x, (y, 2.0)) for x, y in pairs()], 2, 10, 0.5)
    assert_close(net, oracles([6, 5, 4], True, lambda a, y: 2 * (a - y) ** 3 * a * (1 - a)))
    cost = net.total_cost([(x, (y, 2.0)) for x, y in pairs()], 0.0)
    net.cost = Fourth
    assert cost == 2 * net.total_cost(pairs(), 0.0)


def test_costs():
    z = np.array([[-1.0], [0.5], [40.0]])
    a, y = network2.sigmoid(z), np.array([[0.0], [1.0], [1.0]])
    for kind, entropy in ((network2.QuadraticCost, False), (network2.CrossEntropyCost, True)):
        for cost in (kind, kind()):
            identity = [np.eye(3)], [np.zeros((3, 1))]
            assert cost.fn(a, y) == pytest.approx(oracle.cost(*identity, z, y, 0.0, entropy))
            np.testing.assert_allclose(
                cost.delta(z, a, y), a - y if entropy else (a - y) * a * (1 - a))
    wrong = network2.CrossEntropyCost.fn(np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]]))
    assert wrong == np.finfo(float).max  # as np.nan_to_num has it
    assert network2.CrossEntropyCost.fn(np.array([[1.0]]), np.array([[1.0]])) == 0


@pytest.mark.parametrize("z", [36.2, 36.9, 37.5, 800.0, -36.9, -708.9, -709.5, -709.9, -800.0])
def test_costs_of_saturated_outputs(z):
    net, book = seeded(network2.Network, [6, 5, 4]), seeded(oracle.Network2, [6, 5, 4])
    for one in (net, book):
        one.weights[-1][0] = 0
        one.biases[-1][0] = z
    given = pairs(9)
    with np.errstate(all="ignore"):
        wanted = book.total_cost(given, 0.5)
    assert wanted > 3
    for data in (given, [(x, np.argmax(y)) for x, y in given], [(x.ravel(), y) for x, y in given]):
        assert net.total_cost(data, 0.5) == pytest.approx(wanted, rel=1e-14)


def test_flat_inputs_with_a_cost_of_the_callers():
    net = network2.Network([6, 5, 4], Fourth)
    flat = [(x.ravel(), y) for x, y in pairs()]
    assert net.total_cost(flat, 0.1) == pytest.approx(net.total_cost(pairs(), 0.1), rel=1e-14)


# ---- files ----


def test_a_file_is_the_books(tmp_path):
    net = seeded(network2.Network, [6, 5, 4], network2.QuadraticCost)
    net.save(tmp_path / "net.json")
    saved = json.loads((tmp_path / "net.json").read_text())
    assert saved == {"sizes": [6, 5, 4], "weights": [w.tolist() for w in net.weights],
                     "biases": [b.tolist() for b in net.biases], "cost": "QuadraticCost"}
    other = network2.load(str(tmp_path / "net.json"))
    assert_close(other, (net.weights, net.biases), rtol=0)
    assert (other.cost, other.sizes) == (network2.QuadraticCost, [6, 5, 4])
    assert other.total_cost(pairs(), 1.0) == net.total_cost(pairs(), 1.0)


def test_numpys_sizes_and_a_cost_that_is_an_object_are_saved(tmp_path):
    net = network2.Network(list(np.array([6, 5, 4])), cost=network2.CrossEntropyCost())
    net.SGD(pairs(), 1, 10, 0.5)
    net.save(tmp_path / "net.json")
    other = network2.load(tmp_path / "net.json")
    assert (other.cost, other.sizes) == (network2.CrossEntropyCost, [6, 5, 4])
    assert other.accuracy(pairs()) == net.accuracy(pairs())


def test_a_cost_of_the_callers_is_loaded_once_it_is_known(tmp_path, monkeypatch):
    network2.Network([6, 4], Fourth).save(tmp_path / "net.json")
    with pytest.raises(ValueError, match=r"its cost 'Fourth' is unknown: network2\.Fourth = "):
        network2.load(tmp_path / "net.json")
    monkeypatch.setattr(network2, "Fourth", Fourth, raising=False)
    assert network2.load(tmp_path / "net.json").cost is Fourth


@pytest.mark.parametrize(("change", "said"), [
    ({"weights": [[["1.5", 2.0]]]}, r"weights\[0\] must hold numbers, got \['1.5', 2.0\]"),
    ({"weights": [["ab"]]}, r"weights\[0\] must hold numbers, got 'ab'"),
    ({"biases": [[[True]]]}, r"biases\[0\] must hold numbers, got \[True\]"),
    ({"biases": [[[None]]]}, r"biases\[0\] must hold numbers, got \[None\]"),
    ({"biases": [["1"]]}, r"biases\[0\] must hold numbers, got '1'"),
    ({"sizes": [2, True]}, r"sizes must hold numbers, got \[2, True\]"),
    ({"sizes": [2.0, 1]}, r"sizes must hold numbers, got \[2.0, 1\]"),
    ({"sizes": "21"}, "sizes must hold numbers, got '21'"),
])
def test_a_file_with_something_else_than_numbers(tmp_path, change, said):
    saved = {"sizes": [2, 1], "weights": [[[1, 2.5]]], "biases": [[[0]]],
             "cost": "QuadraticCost"}
    (tmp_path / "net.json").write_text(json.dumps(saved))
    assert network2.load(tmp_path / "net.json").weights[0].tolist() == [[1, 2.5]]
    (tmp_path / "net.json").write_text(json.dumps(saved | change))
    with pytest.raises(ValueError, match=rf"^[^\n]*net.json is not a network of .*: {said}$"):
        network2.load(tmp_path / "net.json")


def test_what_is_not_finite_is_saved_with_a_warning(tmp_path):
    net = network2.Network([2, 1])
    net.biases[0][0] = np.nan
    with pytest.warns(RuntimeWarning, match="^network2.save writes weights or biases that are NaN"):
        net.save(tmp_path / "net.json")
    assert '"biases": [[[NaN]]]' in (tmp_path / "net.json").read_text()
    with pytest.raises(ValueError, match=r"biases\[0\] must be finite, got nan at"):
        network2.load(tmp_path / "net.json")


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}", "3", '{"sizes": [2, 1], "cost": "json", "weights": [], "biases": []}',
    '{"sizes": [2, 1], "cost": "QuadraticCost", "weights": [[[1, 2, 3]]], "biases": [[[1]]]}',
    '{"sizes": [2, 1], "cost": "QuadraticCost", "weights": [[["a", 2]]], "biases": [[[1]]]}',
    '{"sizes": 7, "cost": "QuadraticCost", "weights": [], "biases": []}',
    '{"sizes": [2, 1], "cost": 5, "weights": [], "biases": []}',
])
def test_a_file_that_is_no_network(text, tmp_path):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ValueError, match=r"^[^\n]*net.json is not a network of the book's: [^\n]+"):
        network2.load(tmp_path / "net.json")


# ---- where the original fails on people ----


def test_an_iterator_that_has_been_used():
    training = zip(*zip(*pairs(), strict=True), strict=True)
    net = network.Network([6, 4])
    net.SGD(training, 1, 10, 0.5)
    with pytest.raises(ValueError, match=r"at least one example, got none; .*list\(train"):
        net.SGD(training, 1, 10, 0.5)
    with pytest.raises(ValueError, match="at least one example, got none"):
        net.evaluate(training)
    assert net.evaluate([]) == network2.Network([6, 4]).accuracy([]) == 0


def test_zips_generators_tuples_and_arrays():
    wanted = trained(seeded(network.Network, [6, 5, 4]))
    x, y = (np.array([pair[at] for pair in pairs()]) for at in (0, 1))
    objects = np.empty((23, 2), object)
    for i, pair in enumerate(pairs()):
        objects[i, 0], objects[i, 1] = pair
    for given in (zip(x, y, strict=True), (pair for pair in pairs()), tuple(pairs()), objects,
                  (x[:, :, 0], y[:, :, 0]), (x[:, :, 0], y[:, :, 0].argmax(1))):
        net = seeded(network.Network, [6, 5, 4])
        seeded(net.SGD, given, 2, 10, 0.5)
        assert_close(net, (wanted.weights, wanted.biases), rtol=0)


def test_flat_inputs_and_targets():
    wanted = trained(seeded(network.Network, [6, 5, 4]))
    for given in ([(x.ravel(), y.ravel()) for x, y in pairs()],
                  [(x.ravel().tolist(), y) for x, y in pairs()],
                  [(x, np.argmax(y)) for x, y in pairs()]):
        net, before = seeded(network.Network, [6, 5, 4]), list(given)
        seeded(net.SGD, given, 2, 10, 0.5)
        assert_close(net, (wanted.weights, wanted.biases), rtol=0)
        slow = seeded(network.Network, [6, 5, 4])
        slow.backprop = functools.partial(network.Network.backprop, slow)
        seeded(slow.SGD, before, 2, 10, 0.5)
        assert_close(slow, (wanted.weights, wanted.biases))
    a = wanted.feedforward(pairs()[0][0].ravel())
    np.testing.assert_array_equal(a, wanted.feedforward(pairs()[0][0]).ravel())


@pytest.mark.parametrize("form", [
    lambda x, label: (x, np.eye(4)[label].reshape(4, 1)), lambda x, label: (x, np.eye(4)[label]),
    lambda x, label: (x, np.array([label])), lambda x, label: (x, float(label)),
    lambda x, label: (x, np.array([[label]])), lambda x, label: [x.ravel(), int(label)],
])
@pytest.mark.parametrize("slow", [False, True])
def test_test_data_in_every_form(form, slow, capsys):
    given = pairs(labels=True)
    net = network.Network([6, 5, 4])
    if slow:
        net.feedforward = functools.partial(network.Network.feedforward, net)
    wanted = net.evaluate(given)
    assert wanted == oracle.correct(net.weights, net.biases, given)
    formed = [form(x, label) for x, label in given]
    assert net.evaluate(formed) == net.evaluate(iter(formed)) == wanted
    net.SGD(pairs(), 1, 10, 0.0, test_data=iter(formed))
    assert capsys.readouterr().out == f"Epoch 0: {wanted} / 23\n"


def test_labels_that_no_output_stands_for_are_never_right(capsys):
    net, given = network.Network([6, 5, 3]), pairs(outputs=5, labels=True)
    known = [(x, y) for x, y in given if y < 3]
    outside = f"y of test_data has {23 - len(known)} labels outside 0..2, as [34], which are never"
    with pytest.warns(RuntimeWarning, match=outside) as warned:
        right = net.evaluate(given)
    assert right == net.evaluate(known) == oracle.correct(net.weights, net.biases, given)
    with pytest.warns(RuntimeWarning, match=outside) as warned_too:
        net.SGD(pairs(outputs=3), 2, 10, 0.0, given)
    assert capsys.readouterr().out == f"Epoch 0: {right} / 23\nEpoch 1: {right} / 23\n"
    assert [w.filename for w in (*warned, *warned_too)] == [__file__] * 2
    with pytest.raises(ValueError, match=r"must hold labels in 0\.\.2, got 4"):  # they have no cost
        network2.Network([6, 3]).SGD(pairs(outputs=3), 1, 10, 0.5, 0.0, given, True)
    assert not capsys.readouterr().out


def test_arrays_as_test_data(capsys):
    given = pairs(labels=True)
    net = network2.Network([6, 5, 4])
    x, y = np.array([x for x, _ in given])[:, :, 0], np.array([y for _, y in given])
    assert net.accuracy((x, y)) == net.accuracy(given)
    assert net.total_cost((x, y), 0.1) == net.total_cost(given, 0.1)
    network.Network([6, 4]).SGD((x, y), 1, 10, 0.5, test_data=(x, y))
    assert capsys.readouterr().out.endswith(" / 23\n")


def test_labels_need_no_flag():
    net, columns, labels = network2.Network([6, 5, 4]), pairs(), pairs(labels=True)
    for convert in (False, True):
        assert net.accuracy(columns, convert) == net.accuracy(labels, convert)
        assert net.total_cost(columns, 1.0, convert) == net.total_cost(labels, 1.0, convert)
        net.cost = network2.QuadraticCost


@pytest.mark.parametrize("outputs", [1, 2, 13])
def test_outputs_other_than_ten(outputs):
    net = network2.Network([6, 5, outputs])
    given = [(x, i % max(2, outputs)) for i, (x, _) in enumerate(pairs())]
    accuracy, cost = net.SGD(given, 1, 10, 0.5, 0.0, given, True, True)[1::-1]
    assert accuracy == [net.accuracy(given)]
    assert cost == [pytest.approx(net.total_cost(given, 0.0, convert=True), rel=1e-12)]
    a = [net.feedforward(x) for x, _ in given]
    decided = [int(np.argmax(out)) if outputs > 1 else int(out.item() > 0.5) for out in a]
    assert accuracy == [sum(d == y for d, (_, y) in zip(decided, given, strict=True))]


@pytest.mark.parametrize("evaluation", [None, []])
@pytest.mark.parametrize("monitor", ["monitor_evaluation_cost", "monitor_evaluation_accuracy"])
def test_missing_evaluation_data(evaluation, monitor, capsys):
    net = network2.Network([6, 4])
    with pytest.raises(ValueError, match=r"^monitor_\w+ and monitor_\w+ need evaluation_data, got"):
        net.SGD(pairs(), 1, 10, 0.5, evaluation_data=evaluation, **{monitor: True})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cost", [network2.QuadraticCost, network2.CrossEntropyCost, Fourth])
def test_no_warning_where_exp_overflows(cost):  # warnings are errors here
    net = network2.Network([6, 5, 4], cost)
    net.weights = [1e4 * w for w in net.weights]
    net.SGD(pairs(), 2, 10, 0.5, 0.0, pairs(), True, True, True, True)
    assert np.isfinite(net.feedforward(pairs()[0][0])).all()
    assert network.sigmoid(-1e4) == 0 == network.sigmoid_prime(-1e4)
    np.testing.assert_array_equal(network2.sigmoid(np.array([0.0, 800.0])), [0.5, 1])


def test_no_test_data_is_none(capsys):
    network.Network([6, 4]).SGD(pairs(), 1, 10, 0.5, test_data=[])
    assert capsys.readouterr().out == "Epoch 0 complete\n"


def test_a_single_output_is_a_class_against_a_half():
    net = network.Network([2, 1])
    net.weights, net.biases = [np.array([[8.0, 8.0]])], [np.array([[-4.0]])]
    assert net.evaluate(XOR) == net.evaluate([(x, y[0][0]) for x, y in XOR]) == 3


def bad(net, **changed):
    arguments = {"training_data": pairs(), "epochs": 1, "mini_batch_size": 10, "eta": 0.5} | changed
    net.SGD(**arguments)


@pytest.mark.parametrize(("changed", "message"), [
    ({"training_data": []}, "training_data must hold at least one example, got none"),
    ({"training_data": 5}, r"training_data must be a list of \(x, y\) pairs, or .*, got 5"),
    ({"training_data": "no"}, "training_data must be a list"),
    ({"training_data": [1, 2]}, r"training_data must be \(x, y\) arrays or a list of .* got a int"),
    ({"training_data": (np.zeros((3, 6)), np.zeros(2))}, "as many y as x, got 2 and 3"),
    ({"training_data": pairs(inputs=7)}, r"x of training_data must have sizes\[0\] = 6 columns"),
    ({"training_data": pairs(outputs=3)}, "y of training_data must be 23 labels or have shape"),
    ({"training_data": pairs() + pairs(inputs=7)}, "must have one shape in every pair"),
    ({"training_data": [(x + np.nan, y) for x, y in pairs()]}, "x of training_data must be finite"),
    ({"training_data": [(x, y + np.inf) for x, y in pairs()]}, "must be finite"),
    ({"training_data": [(x, 4) for x, _ in pairs()]}, r"must hold labels in 0\.\.3, got 4"),
    ({"epochs": 1.5}, "epochs must be an integer of at least 0, got 1.5"),
    ({"mini_batch_size": 0}, "mini_batch_size must be an integer of at least 1, got 0"),
    ({"eta": "fast"}, "eta must be a number, got 'fast'"),
    ({"test_data": 5}, "test_data must be a list"),
    ({"test_data": [(np.zeros(5), 1)]}, r"x of test_data must have sizes\[0\] = 6 columns"),
])
def test_bad_arguments(changed, message):
    net, drawn = network.Network([6, 5, 4]), random.getstate()
    before = net.weights
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        bad(net, **changed)
    assert "\n" not in str(caught.value)
    assert net.weights is before
    assert random.getstate() == drawn


def test_a_bad_lmbda():
    with pytest.raises(ValueError, match="lmbda must be a number of at least 0, got -1"):
        network2.Network([6, 4]).SGD(pairs(), 1, 10, 0.5, lmbda=-1)


@pytest.mark.parametrize("sizes", [[], [3], [3, 0], [3, "4"], 7])
def test_bad_sizes(sizes):
    for module in (network, network2):
        with pytest.raises((TypeError, ValueError), match="sizes must be at least two positive"):
            module.Network(sizes)


def test_a_bad_cost():
    with pytest.raises(TypeError, match="cost must have fn, as QuadraticCost has, got 'quadratic'"):
        network2.Network([2, 1], cost="quadratic")


def test_bad_columns():
    net = network.Network([6, 5, 4])
    with pytest.raises(ValueError, match=r"a must be a column of shape \(6, 1\), or \(6,\), got"):
        net.feedforward(np.zeros(7))
    with pytest.raises(ValueError, match=r"y must have shape \(4, 1\) or \(4,\), or be a label"):
        net.backprop(np.zeros(6), 4)


def test_a_mini_batch_may_be_larger_than_the_data():
    net = seeded(network.Network, [6, 5, 4])
    net.SGD(pairs(), 1, 1000, 0.5)
    (wanted,) = oracle.epochs(*seeded(oracle.parameters, [6, 5, 4], False), pairs(), 1, 23, 0.5)
    assert_close(net, wanted)


# ---- runs that end in infinity and NaN ----


@pytest.mark.parametrize(("eta", "lmbda", "cause"), [
    (1e150, 23.0, r"eta = 1e\+150, lmbda = 23 and n = 23 make eta lmbda / n = 1e\+150, and each"),
    (np.inf, 0.0, "eta = inf may be too large"),
], ids=["lmbda", "eta"])
@pytest.mark.parametrize("cost", ["QuadraticCost", "CrossEntropyCost"])
def test_a_run_goes_through_infinity_as_the_books_does(eta, lmbda, cause, cost, capsys):
    net = seeded(network2.Network, [6, 5, 4], getattr(network2, cost))
    given = pairs(9, seed=1, labels=True)
    with pytest.warns(RuntimeWarning) as warned:
        seeded(net.SGD, pairs(), 4, 10, eta, lmbda, given, True, True, True, True)
    assert len(warned) == 1
    assert re.match("training diverges: a parameter is no longer finite; " + cause,
                    str(warned[0].message))
    assert warned[0].filename == __file__
    found = capsys.readouterr().out
    book = seeded(oracle.Network2, [6, 5, 4], getattr(oracle, cost))
    with np.errstate(all="ignore"):
        seeded(book.SGD, pairs(), 4, 10, eta, lmbda, given)
    assert_same_lines(found, capsys.readouterr().out)
    assert_close(net, (book.weights, book.biases))
    assert not all(np.isfinite(w).all() for w in net.weights)
    with np.errstate(all="ignore"):  # and on, without another warning
        assert net.accuracy(given) == book.accuracy(given)
        net.update_mini_batch(pairs(), eta, lmbda, 23)
        book.update_mini_batch(pairs(), eta, lmbda, 23)
    assert_close(net, (book.weights, book.biases))


@pytest.mark.parametrize("eta", [np.inf, np.nan, 1e308])
def test_chapter_1_goes_through_infinity_too(eta, capsys):
    net, book = seeded(network.Network, [6, 5, 4]), seeded(oracle.Network1, [6, 5, 4])
    given = pairs(9, seed=1, labels=True)
    with np.errstate(all="ignore"):
        seeded(book.SGD, pairs(), 3, 2, eta, given)
    wanted = capsys.readouterr().out
    finite = all(np.isfinite(w).all() for w in book.weights)
    assert finite == (eta == 1e308)     # where saturation saves it
    with contextlib.nullcontext() if finite else pytest.warns(RuntimeWarning, match="eta = [in]"):
        seeded(net.SGD, pairs(), 3, 2, eta, given)
    assert capsys.readouterr().out == wanted
    assert_close(net, (book.weights, book.biases))


def test_the_first_nan_is_the_largest_output():
    net, given = network.Network([6, 5, 4]), pairs(labels=True)
    net.biases[-1][2:] = np.nan
    assert net.evaluate(given) == sum(y == 2 for _, y in given) > 0


def test_ctrl_c_keeps_what_was_trained():
    net, first = network.Network([784, 100, 10]), []

    def evaluate(test_data):
        first.append(net.weights[0])
        if len(first) == 1:
            timer.start()

    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    net.evaluate = evaluate
    rng = np.random.default_rng(0)
    x, y = rng.random((20_000, 784), np.float32), rng.integers(0, 10, 20_000)
    with pytest.raises(KeyboardInterrupt):
        net.SGD((x, y), 1000, 10, 0.1, test_data=[1])
    timer.join()
    assert not np.array_equal(net.weights[0], first[-1])


# ---- mnist_loader ----


def test_vectorized_result():
    for module in (mnist_loader, network2):
        found = module.vectorized_result(3)
        assert (found.shape, found.dtype) == ((10, 1), np.float64)
        assert found.ravel().tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_mnist(mnist_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("CBACKPROP_DATA", str(mnist_folder))
    monkeypatch.chdir(tmp_path)
    parts = mnist_loader.load_data()
    assert [(x.shape, y.shape) for x, y in parts] == [
        ((n, 784), (n,)) for n in (50_000, 10_000, 10_000)]
    x, y = parts[0]
    assert (x.dtype, y.dtype, x.min(), x.max()) == (np.float32, np.int64, 0, 255 / 256)
    assert x[0, 152:162].tolist() == [  # as the book's file has them
        0.01171875, 0.0703125, 0.0703125, 0.0703125, 0.4921875, 0.53125, 0.68359375, 0.1015625,
        0.6484375, 0.99609375]
    assert [part[1][0] for part in parts] == [5, 3, 7]
    training, validation, test = mnist_loader.load_data_wrapper()
    assert [type(part) for part in (training, validation, test)] == [list] * 3
    assert [len(part) for part in (training, validation, test)] == [50_000, 10_000, 10_000]
    (image, wanted), (image_v, label) = training[0], validation[0]
    assert (image.shape, image.dtype, wanted.shape) == ((784, 1), np.float32, (10, 1))
    np.testing.assert_array_equal(image.ravel(), x[0])
    np.testing.assert_array_equal(wanted, mnist_loader.vectorized_result(5))
    np.testing.assert_array_equal(image_v.ravel(), parts[1][0][0])
    assert (label, type(label)) == (3, np.int64)


def test_the_books_own_file_comes_first(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    for place, labels in (("src", [2, 4]), ("data", [3, 1])):   # a fork's, and before it the book's
        part = np.full((2, 784), 0.5, np.float32), np.array(labels)
        (tmp_path / place / "mnist.pkl.gz").write_bytes(pickle.dumps((part,) * 3, protocol=2))
        training, _, test = mnist_loader.load_data_wrapper()
        assert [int(y.argmax()) for _, y in training] == [y for _, y in test] == labels


def test_what_a_script_replaces_in_mnist_loader(monkeypatch):
    x, y = [np.full(784, 0.25), np.full(784, 0.5)], [1, 0]
    monkeypatch.setattr(mnist_loader, "load_data", lambda: ((x, y),) * 3)
    monkeypatch.setattr(mnist_loader, "vectorized_result", lambda j: np.full((2, 1), j))
    training, validation, test = mnist_loader.load_data_wrapper()
    assert [(a.shape, a[0, 0], b.ravel().tolist()) for a, b in training] == [
        ((784, 1), 0.25, [1, 1]), ((784, 1), 0.5, [0, 0])]
    assert [b for _, b in validation] == [b for _, b in test] == y


# ---- a few pairs, which do not go through the core ----


@pytest.mark.parametrize("sizes", [(9, 2), (2, 3, 1), (6, 5, 4, 3)], ids=str)
@pytest.mark.parametrize("n", [1, 2, 4, 5])
@pytest.mark.parametrize("lmbda", [0.0, 3.0])
def test_a_step_on_a_few_pairs(sizes, n, lmbda):
    data = [(x.astype(np.float32), y) for x, y in pairs(n, sizes[0], sizes[-1])]
    net = seeded(network2.Network, sizes, cost=network2.QuadraticCost)
    wanted = oracle.step(net.weights, net.biases, *oracle.columns(data), 0.5, 1 - 0.5 * lmbda / 50)
    kept = [w.copy() for w in net.weights], net.weights
    net.update_mini_batch(data, 0.5, lmbda, 50)
    assert_close(net, wanted)
    for before, same in zip(*kept, strict=True):  # whoever kept them keeps them
        np.testing.assert_array_equal(before, same)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_an_edited_parameter_counts_in_a_few_pairs(n):
    data = pairs(n, labels=True)
    net = seeded(network.Network, [6, 5, 4])
    net.weights[0][...] *= -2
    net.biases[1] = np.array([[0.0], [9.0], [0.0], [0.0]])
    wanted = oracle.correct(net.weights, net.biases, data)
    assert net.evaluate(data) == wanted == sum(y == 1 for _, y in data)
    net.weights[1] *= 0
    np.testing.assert_allclose(net.feedforward(data[0][0]), oracle.sigmoid(net.biases[1]))
    net.weights[1] = net.weights[1].T
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape"):
        net.evaluate(data)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(("x", "y", "message"), [
    (np.full((6, 1), np.nan), 1, r"x of .+ must be finite, got nan"),
    (np.full((6, 1), np.inf), 1, r"x of .+ must be finite, got inf"),
    (np.ones((6, 1)), 4, r"y of .+ must hold labels in 0..3, got 4"),
    (np.ones((6, 1)), -1, r"y of .+ must hold labels in 0..3, got -1"),
    (np.ones((6, 2)), 1, r"x of .+ must have sizes\[0\] = 6 columns"),
    (np.ones((6, 1), complex), 1, r"x of .+ must hold real numbers"),
])
def test_a_few_bad_pairs(n, x, y, message):
    net, data = seeded(network.Network, [6, 5, 4]), [(x, y)] * n
    before = [w.copy() for w in net.weights]
    if "labels" in message:  # the book counts them as wrong
        with pytest.warns(RuntimeWarning, match="labels outside 0..3"):
            assert net.evaluate(data) == 0
    else:
        with pytest.raises((TypeError, ValueError), match=message):
            net.evaluate(data)
    with pytest.raises((TypeError, ValueError), match=message):
        net.update_mini_batch(data, 0.5)
    for now, then in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_bias_that_numpy_would_stretch_is_refused():
    net = seeded(network.Network, [6, 5, 4])
    net.biases[0] = np.zeros((1, 1))
    with pytest.raises(ValueError, match=r"biases\[0\] must have shape \(5, 1\)"):
        net.update_mini_batch(pairs(1), 0.5)
    with pytest.raises(ValueError, match=r"biases\[0\] must have shape \(5, 1\)"):
        net.evaluate(pairs(1, labels=True))


@pytest.mark.parametrize("shape", [(), (3, 1), (40, 1), (2, 3, 2), (0, 1), (1500, 1)])
def test_sigmoid_of_any_shape_and_memory(shape):
    z = np.random.default_rng(0).normal(0, 300, shape)
    for given in (z, z.T, np.asfortranarray(z), z.astype(np.float32), z.tolist(), np.flip(z)):
        found, real = network.sigmoid(given), np.asarray(given).dtype
        with np.errstate(over="ignore"):
            wanted = 1 / (1 + np.exp(-np.asarray(given)))
        assert np.shape(found) == wanted.shape
        assert np.asarray(found).dtype == real
        np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(real).eps, atol=1e-307)
