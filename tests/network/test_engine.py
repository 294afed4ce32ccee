"""The engine: what training changes, kept and put back; a training prepared, and not yet run."""

import numpy as np
import pytest
from reference import random_order

from cbackprop import DivergenceError, Network, train_many
from cbackprop.sources import ArrayExamples, SelectedExamples

SIZES = [5, 4, 3]


def data(n=23):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, 5)), rng.integers(0, 3, n)


def network(**settings):
    return Network(SIZES, seed=0, dtype="float64", **settings)


def everything(net):
    """Return a copy of all that training changes, as text."""
    return repr([net.engine.state(), net.engine.random.bit_generator.state, net.history])


def test_blocks_are_the_parameters():
    net = Network([5, 33, 1], seed=0)
    engine = net.engine
    assert [block.name for block in engine.blocks] == [
        "weights_0", "weights_1", "biases_0", "biases_1"]
    assert [block.shape for block in engine.blocks] == [(33, 5), (1, 33), (33, 1), (1, 1)]
    for block, view in zip(engine.blocks, [*net.weights, *net.biases], strict=True):
        found = block.view(engine.core.parameters)
        assert np.shares_memory(found, view)
        assert np.array_equal(found, view)
    ones = engine.zeros()
    for block in engine.blocks:
        block.view(ones)[...] += 1
    assert ones.sum() == sum(view.size for view in [*net.weights, *net.biases])  # none twice
    assert set(np.unique(ones)) <= {0, 1}
    assert engine.compute_dtype == engine.dtype == "float32"


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_is_restored_goes_on_as_before(optimizer):
    net = network()
    net.SGD(data(), 2, 5, 0.1, optimizer=optimizer)
    snapshot = net.engine.snapshot()
    first = net.SGD(data(), 2, 5, 0.1, optimizer=optimizer).cost
    after = [np.array(p) for p in (*net.weights, *net.biases)]
    net.engine.restore(snapshot)
    assert net.SGD(data(), 2, 5, 0.1, optimizer=optimizer).cost == first
    for one, other in zip(after, (*net.weights, *net.biases), strict=True):
        assert np.array_equal(one, other)


def test_a_prepared_training_has_changed_nothing_until_it_runs():
    net, twin = network(), network()
    before = everything(net)
    training = net.prepare(data(), 3, 5, 0.1, test_data=data(), optimizer="adam", dropout=0.2,
                           callbacks=[lambda net, history: None])
    assert everything(net) == before
    history = training.run()
    assert history is net.history
    assert history.cost == twin.SGD(data(), 3, 5, 0.1, optimizer="adam", dropout=0.2).cost
    assert everything(net) != before


def test_a_prepared_training_runs_again_and_goes_on():
    net, twin = network(), network()
    training = net.prepare(data(), 1, 5, 0.1, optimizer="momentum")
    costs = [training.run().cost, training.run().cost]
    assert costs == [twin.SGD(data(), 1, 5, 0.1, optimizer="momentum").cost for _ in range(2)]
    assert costs[0] != costs[1]


def test_a_part_may_end_before_what_was_asked_and_examples_are_closed(monkeypatch):
    ends, closed, whole = [], [], ArrayExamples.part

    def part(self, order, first, last):
        rows, targets, order, first, last = whole(self, order, first, last)
        ends.append(min(last, first + 10))
        return rows, targets, order, first, ends[-1]

    twin = network()
    twin.SGD(data(), 3, 5, 0.1, optimizer="adam", dropout=0.2)
    monkeypatch.setattr(ArrayExamples, "part", part)
    monkeypatch.setattr(ArrayExamples, "close", lambda self: closed.append(len(self)))
    net = network()
    net.SGD(data(), 3, 5, 0.1, optimizer="adam", dropout=0.2)
    assert ends == [10, 20, 23] * 3
    assert net.history.cost == twin.history.cost
    assert (net.engine.core.parameters == twin.engine.core.parameters).all()
    assert closed == [23]


def test_an_epoch_is_a_function_of_its_seed():
    engine = network().engine
    examples = engine.examples(data(), "data")
    part = SelectedExamples(examples, np.arange(3, 20))
    for each, n in ((examples, 23), (part, 17)):
        assert list(each.order(5, m=4)) == random_order(n, 5) == list(each.order(5, m=4))
        assert list(each.order(None, m=4)) == list(range(n))


@pytest.mark.parametrize("arguments", [
    {"epochs": -1}, {"mini_batch_size": 0}, {"eta": "fast"}, {"optimizer": "adams"},
    {"monitor": ["cost"]}, {"dropout": 2.0}, {"threads": 0}, {"test_data": (1, 2)},
    {"callback": 3}, {"sample_weight": [1.0]}])
def test_a_bad_argument_changes_nothing(arguments):
    net = network()
    before = everything(net)
    with pytest.raises((TypeError, ValueError)) as raised:
        net.prepare(**{"training_data": data(), "epochs": 1, "mini_batch_size": 5, "eta": 0.1}
                    | arguments)
    assert "\n" not in str(raised.value)
    assert everything(net) == before


def test_two_prepared_trainings_cannot_run_in_each_other():
    net = network()
    inner = net.prepare(data(), 1, 5, 0.1)
    outer = net.prepare(data(), 1, 5, 0.1, callbacks=[lambda net, history: inner.run()])
    with pytest.raises(RuntimeError, match="this network is being trained: a callback"):
        outer.run()
    assert len(inner.run()) == 1


def test_a_network_goes_on_with_other_parameters():
    net, twin = network(), network()
    for each in (net, twin):
        each.SGD(data(), 1, 5, 0.1, optimizer="adam")
    weights, biases = net.weights[:], net.biases[:]
    old = [np.array(w) for w in weights]
    made = net.with_parameters(weights, biases)
    assert not np.shares_memory(made.weights[0], weights[0])
    assert made.SGD(data(), 1, 5, 0.1, optimizer="adam").cost == twin.SGD(
        data(), 1, 5, 0.1, optimizer="adam").cost  # with adam's state, in the order drawn next
    for view, kept in zip(weights, old, strict=True):
        assert np.array_equal(view, kept)


def test_train_many_keeps_the_parameters_from_before_a_divergence():
    nets = [network(cost="quadratic", output_activation="identity") for _ in range(2)]
    before = [np.array(p) for p in (*nets[1].weights, *nets[1].biases)]
    found = train_many([(nets[0], {"eta": 0.01}), (nets[1], {"eta": 1e200})], data(), 2, 5)
    assert isinstance(found[1], DivergenceError)
    assert len(found[0]) == 2
    for one, other in zip(before, (*nets[1].weights, *nets[1].biases), strict=True):
        assert np.array_equal(one, other)
